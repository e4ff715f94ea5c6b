/* What a training takes and gives: how a blend is drawn, what is told on the way, what is
 * refused, and the adapter in this program's own merge. */
#include "live/live.h"
#include "model/forward.h"
#include "tests/train.h"

/* --- a blend --- */

static void blend(void)
{
    subject s;
    int64_t drawn[CORPORA] = {0}, last[EACH] = {0};
    T_TRUE(open_subject(&s, tiny, 1));
    rs_train_options o = options_of("nowhere");
    rs_training t = {.corpora = s.corpora, .n_corpora = CORPORA, .o = &o};
    rs_training again = t;
    T_OK(rs_blend_open(&t, &t_err));
    T_OK(rs_blend_open(&again, &t_err));
    bool shuffled = false;
    for (int q = 0; q < 7000; q++) {
        int corpus;
        const rs_example *e = rs_blend_next(&t, &corpus);
        drawn[corpus]++;
        if (corpus != 1) continue;
        int64_t i = e - s.corpora[1].train, epoch = (drawn[1] - 1) / (EACH - 1);
        T_TRUE(i >= 0 && i < EACH - 1); /* never what is for validation */
        T_EQ(last[i], epoch);           /* each once in every epoch */
        last[i]++;
        shuffled |= i != (drawn[1] - 1) % (EACH - 1);
    }
    T_TRUE(shuffled);
    T_NEAR((double)drawn[0], 4000, 150, 0);
    T_NEAR((double)drawn[1], 2000, 150, 0);
    T_NEAR((double)drawn[2], 1000, 100, 0);
    rs_blend_skip(&t, 1234);
    rs_blend_skip(&again, 0);
    for (int q = 0; q < 1234; q++) {
        int corpus;
        rs_blend_next(&again, &corpus);
    }
    for (int q = 0; q < 50; q++) {
        int a, b;
        T_TRUE(rs_blend_next(&t, &a) == rs_blend_next(&again, &b) && a == b);
    }
    rs_blend_close(&t);
    rs_blend_close(&again);
    close_subject(&s);
}

/* What it tells on the way: losses of corpora that make up the step's, validations. */
typedef struct listener {
    int steps, validations;
    bool good;
    double last_valid;
} listener;

static void listen_to(void *ctx, const rs_train_step *s)
{
    listener *l = ctx;
    double sum = 0;
    int64_t tokens = 0;
    for (int c = 0; c < CORPORA; c++) {
        if (s->corpora[c].tokens == 0) continue;
        sum += s->corpora[c].loss * (double)s->corpora[c].tokens;
        tokens += s->corpora[c].tokens;
    }
    l->good &= tokens > 0 && fabs(sum / (double)tokens - s->loss) < 1e-9;
    if (s->is_validation) {
        l->good &= s->step % 3 == 0 || s->step == STEPS;
        l->last_valid = s->loss;
        l->validations++;
    } else {
        l->good &= s->step == l->steps++ && s->norm > 0 && s->leak.most < 1e-12;
    }
}

static void what_is_told(void)
{
    subject s;
    rs_train_result r;
    listener l = {.good = true};
    T_TRUE(open_subject(&s, tiny, 2));
    rs_train_options o = options_of(in_folder(t_folder(), "a"));
    o.told = listen_to;
    o.told_ctx = &l;
    T_OK(train(&s, &o, &r));
    T_TRUE(l.good);
    T_EQ(l.steps, STEPS);
    T_EQ(l.validations, 4); /* before steps 0, 3 and 6, and at the end */
    T_TRUE(l.last_valid > 0);
    for (int i = 0; i < s.lora->n;
         i++) { /* the protected rows and columns: nothing at all */
        const rs_lora_pair *p = &s.lora->pairs[i];
        for (int k = 0; k < ADAPTED; k++) {
            T_TRUE(p->a[k * p->cols] == 0 && p->a[k * p->cols + 1] == 0);
            T_TRUE(p->b[k] == 0 && p->b[ADAPTED + k] == 0);
        }
    }
    free(r.steps);
    close_subject(&s);
}

/* --- refusals --- */

static void refusals(void)
{
    subject s;
    rs_train_result r;
    T_TRUE(open_subject(&s, tiny, 1));
    const char *out = in_folder(t_folder(), "a");
    rs_train_options o = options_of(out), bad = o;
    s.corpora[1].n_train = 0;
    T_FAILS(train(&s, &o, &r), RS_E_INVALID, "gothic has no sequence to learn from");
    s.corpora[1].n_train = EACH - 1;
    s.ids[2][1][3] = 400;
    T_FAILS(train(&s, &o, &r), RS_E_INVALID, "folk, sequence 2: token 3 is id 400");
    s.ids[2][1][3] = 5;
    s.ids[2][4][3] = -1;
    T_FAILS(train(&s, &o, &r), RS_E_INVALID,
            "folk, validation sequence 1: token 3 is id -1");
    s.ids[2][4][3] = 5;
    int32_t none[MOST];
    memset(none, -1, sizeof none);
    s.examples[0][0].labels = none;
    T_FAILS(train(&s, &o, &r), RS_E_INVALID, "sequence 1: a sequence of");
    s.examples[0][0].labels = NULL;
    s.corpora[0].weight = NAN;
    T_FAILS(train(&s, &o, &r), RS_E_INVALID, "has weight nan");
    s.corpora[0].weight = 2;
    bad.adamw.warmup = STEPS + 1;
    T_FAILS(train(&s, &bad, &r), RS_E_INVALID, "is no training");
    bad = o;
    bad.strength = 1.5;
    T_FAILS(train(&s, &bad, &r), RS_E_INVALID, "a strength of 1.5 is not from 0 to 1");
    bad = o;
    bad.in_order = true;
    T_FAILS(train(&s, &bad, &r), RS_E_INVALID, "in the order of the file");
    T_TRUE(is_clean(out) && rs_os_kind(out) == RS_PATH_NONE);
    bad = o;
    bad.adamw.rate = 1e30;
    bad.adamw.warmup = 0;
    bad.adamw.clip = 0;
    T_FAILS(train(&s, &bad, &r), RS_E_INVALID, "of step 1 ");
    T_TRUE(is_clean(out) && rs_os_kind(out) == RS_PATH_NONE);
    close_subject(&s);
}

/* --- our own merge reads it --- */

static const char sparring[] = "recipes/sparring/it";

/* Logits of a pass with the adapter beside the model. */
static bool unmerged_logits(subject *s, const int32_t *ids, int64_t n, float *logits)
{
    rs_work *w;
    rs_sequence *q;
    int64_t H = s->config->hidden;
    float *normed = malloc((size_t)(n * H) * sizeof *normed);
    if (rs_work_new(&s->rt, s->model, n, &w, &t_err) != RS_OK ||
        rs_sequence_new(s->config, n, true, &q, &t_err) != RS_OK ||
        rs_sequence_set(q, ids, NULL, n, &t_err) != RS_OK ||
        rs_work_adapt(w, s->lora, &t_err) != RS_OK ||
        rs_forward_embed(w, q, &t_err) != RS_OK)
        return false;
    for (int i = 0; i < s->config->n_layers; i++)
        if (rs_forward_layer(w, q, i, &t_err) != RS_OK) return false;
    for (int64_t t = 0; t < n; t++)
        s->rt.kernels->linear->rms_norm(q->x[s->config->n_layers] + t * H,
                                        s->model->final_norm, s->config->rms_eps,
                                        normed + t * H, H);
    rs_product p = {&s->model->head,  normed,
                    logits,           H,
                    s->config->vocab, (float)s->config->final_softcap};
    bool good = rs_linear(&s->rt, RS_LINEAR_FAST, &p, 1, n, &t_err) == RS_OK;
    free(normed);
    rs_sequence_free(q);
    rs_work_free(w);
    return good;
}

static rs_status merged_logits(const rs_runtime *rt, const char *adapter,
                               const int32_t *ids, int64_t n, float *logits)
{
    char text[1200];
    rs_recipe *recipe;
    rs_plan *plan;
    rs_live *live;
    rs_kv *kv;
    rs_plan_options how = {0};
    rs_forward_options all = {.want = RS_WANT_ALL};
    snprintf(text, sizeof text,
             "{\"ringside\":1,\"models\":{\"it\":{\"path\":\"%s\"},\"a\":{\"adapter\":\"%"
             "s\"}},"
             "\"stages\":[{\"name\":\"m\",\"method\":\"task_arithmetic\",\"base\":\"it\","
             "\"inputs\":[{\"from\":\"a\"}]}],\"output\":{\"dtype\":\"float32\"}}",
             sparring, adapter);
    RS_TRY(rs_recipe_parse(text, strlen(text), ".", "round trip", &recipe, &t_err));
    RS_TRY(rs_plan_build(rt, recipe, &how, &plan, &t_err));
    RS_TRY(rs_live_open(rt, plan, NULL, NULL, NULL, &live, &t_err));
    RS_TRY(rs_kv_new(rs_live_model(live)->config, NULL, &kv, &t_err));
    rs_status s = rs_forward(rt, rs_live_model(live), kv, ids, n, &all, logits, &t_err);
    rs_kv_free(kv);
    rs_live_close(live);
    rs_recipe_free(recipe);
    return s;
}

static void our_merge_reads_it(void)
{
    subject s;
    rs_train_result r;
    const char *out = in_folder(t_folder(), "a");
    T_TRUE(open_subject(&s, sparring, 2));
    int64_t n = s.examples[1][3].n, size = n * s.config->vocab;
    float *before = malloc((size_t)size * sizeof *before),
          *beside = malloc((size_t)size * sizeof *beside),
          *merged = malloc((size_t)size * sizeof *merged);
    T_TRUE(unmerged_logits(&s, s.ids[1][3], n, before));
    rs_train_options o = options_of(out);
    T_OK(train(&s, &o, &r));
    T_TRUE(unmerged_logits(&s, s.ids[1][3], n, beside));
    T_OK(merged_logits(&s.rt, out, s.ids[1][3], n, merged));
    double off = 0, moved = 0;
    for (int64_t i = 0; i < size; i++) {
        double d = fabs((double)beside[i] - (double)merged[i]);
        off = t_max(off, d);
        moved = t_max(moved, fabs((double)beside[i] - (double)before[i]));
    }
    printf("  logits: merged %.1e from unmerged, training moved them by %.1f\n", off,
           moved);
    T_TRUE(off <= 2e-4 && moved > 0.5);
    free(before);
    free(beside);
    free(merged);
    free(r.steps);
    close_subject(&s);
}

T_MAIN(T_TEST(blend), T_TEST(what_is_told), T_TEST(refusals), T_TEST(our_merge_reads_it))
