/* The project's own chats: their Fisher information of sparring's `it` is near the one
 * that torch made from 256 other instructions, and the two files share no text. */
#include "learn/fisher.h"
#include "tests/t.h"

#include "base/buf.h"
#include "model/jsonl.h"
#include "model/names.h"

#include <inttypes.h>

enum { MAX_CHATS = 300, MAX_LAYERS = 16, LEAST_CHATS = 96, HELDOUT_CHATS = 48 };
static const char CHATS[] = "recipes/corpora/chats.jsonl";
static const char HELDOUT[] = "recipes/corpora/chats-heldout.jsonl";
static const char REFERENCE[] = "tests/golden/demo/sparring/fisher/it-instruct.safetensors";

typedef struct chats {
    rs_example at[MAX_CHATS];
    char *prompt[MAX_CHATS], *text[MAX_CHATS];
    int n;
} chats;

static char *copy_of(const rs_buf *b) { return strdup(rs_buf_str(b)); }

/* What counts is the label, the rest is -1. */
static rs_example example_of(const rs_line *l)
{
    int32_t *ids = calloc(2 * (size_t)l->ids.n + 1, sizeof *ids);
    int32_t *labels = ids + l->ids.n;
    for (int64_t i = 0; i < l->ids.n; i++) {
        ids[i] = l->ids.at[i];
        labels[i] = l->mask.data[i] ? ids[i] : -1;
    }
    return (rs_example){ids, labels, l->ids.n};
}

/* Every line of a file must be a conversation that the model has the last word in. */
static rs_status read_chats(const char *path, chats *c, rs_err *err)
{
    rs_tokenizer *t = NULL;
    rs_lines *lines = NULL;
    rs_line line = {0};
    bool done = false;
    *c = (chats){0};
    rs_status st = rs_tokenizer_load("recipes/sparring/it", &t, err);
    rs_line_options o = {.tokenizer = t, .chat = rs_chat_named("gemma4")};
    if (st == RS_OK) st = rs_lines_open(path, &lines, err);
    while (st == RS_OK) {
        st = rs_lines_parse(lines, &o, &line, &done, err);
        if (st != RS_OK || done) break;
        if (c->n == MAX_CHATS || line.form != RS_LINE_MESSAGES || line.n_counted < 8) {
            st = rs_fail(err, RS_E_FORMAT, "%s: no chat, or one too many",
                         rs_lines_where(lines));
            break;
        }
        c->prompt[c->n] = copy_of(&line.prompt);
        c->text[c->n] = copy_of(&line.text);
        c->at[c->n++] = example_of(&line);
    }
    rs_line_free(&line);
    rs_lines_close(lines);
    rs_tokenizer_free(t);
    return st;
}

static void free_chats(chats *c)
{
    for (int i = 0; i < c->n; i++) {
        free(c->prompt[i]);
        free(c->text[i]);
        free((void *)(uintptr_t)c->at[i].ids);
    }
}

typedef struct subject {
    rs_runtime rt;
    rs_checkpoint *file, *want, *have;
    rs_config *config;
} subject;

static rs_status open_subject(subject *s, rs_err *err)
{
    rs_options o = {.threads = 2};
    *s = (subject){0};
    RS_TRY(rs_init(&o, &s->rt, err));
    RS_TRY(rs_checkpoint_open("recipes/sparring/it", &s->file, err));
    RS_TRY(rs_checkpoint_open(REFERENCE, &s->want, err));
    return rs_config_load(s->file, &s->config, err);
}

static void close_subject(subject *s)
{
    rs_config_free(s->config);
    rs_checkpoint_close(s->file);
    rs_checkpoint_close(s->want);
    rs_checkpoint_close(s->have);
    rs_quit(&s->rt);
}

/* The matrices of the layers: what is compared, and all that is made. */
static bool is_matrix(void *ctx, const char *name, int layer)
{
    const subject *s = ctx;
    const rs_tensor *t = rs_checkpoint_find(s->want, name);
    return layer >= 0 && t && t->n_dims == 2;
}

/* Sums for Pearson's correlation. */
typedef struct moments {
    double n, x, y, xx, yy, xy;
} moments;

static void add(moments *m, double x, double y)
{
    m->n++, m->x += x, m->y += y, m->xx += x * x, m->yy += y * y, m->xy += x * y;
}

static double correlation(const moments *m)
{
    double xx = m->xx - m->x * m->x / m->n, yy = m->yy - m->y * m->y / m->n;
    return (m->xy - m->x * m->y / m->n) / sqrt(xx * yy);
}

typedef struct agreement {
    moments log_f; /* over the elements of all matrices together */
    moments means; /* log of the mean, over matrices */
    double have[MAX_LAYERS], want[MAX_LAYERS]; /* means of a layer's matrices */
    int matrices[MAX_LAYERS];
    int64_t zero; /* elements that have no logarithm on one side */
} agreement;

static rs_status compare(const subject *s, const rs_tensor *t, int layer, agreement *a,
                         rs_err *err)
{
    const rs_tensor *own = rs_checkpoint_find(s->have, t->name);
    if (!own || own->n_elements != t->n_elements)
        return rs_fail(err, RS_E_NOT_FOUND, "%s has no Fisher of its shape", t->name);
    size_t n = (size_t)t->n_elements;
    float *x = calloc(n, sizeof *x), *y = calloc(n, sizeof *y);
    rs_status st = rs_checkpoint_read_f32(s->have, own, 0, own->n_elements, x, err);
    if (st == RS_OK) st = rs_checkpoint_read_f32(s->want, t, 0, t->n_elements, y, err);
    double sum_x = 0, sum_y = 0;
    for (size_t i = 0; i < n; i++) {
        sum_x += (double)x[i];
        sum_y += (double)y[i];
        if (x[i] > 0 && y[i] > 0) add(&a->log_f, log((double)x[i]), log((double)y[i]));
        else a->zero++;
    }
    free(x);
    free(y);
    add(&a->means, log(sum_x / (double)n), log(sum_y / (double)n));
    a->have[layer] += sum_x / (double)n;
    a->want[layer] += sum_y / (double)n;
    a->matrices[layer]++;
    return st;
}

static rs_status compare_all(subject *s, agreement *a, rs_err *err)
{
    for (int i = 0; i < rs_checkpoint_count(s->want); i++) {
        const rs_tensor *t = rs_checkpoint_at(s->want, i);
        int layer = rs_role_of(s->config, t->name).layer;
        if (is_matrix(s, t->name, layer)) RS_TRY(compare(s, t, layer, a, err));
    }
    for (int l = 0; l < s->config->n_layers; l++) {
        a->have[l] /= a->matrices[l];
        a->want[l] /= a->matrices[l];
    }
    return RS_OK;
}

static int rank_of(const double *x, int n, int i)
{
    int below = 0;
    for (int k = 0; k < n; k++) below += x[k] < x[i];
    return below;
}

static double spearman(const double *x, const double *y, int n)
{
    moments m = {0};
    for (int i = 0; i < n; i++) add(&m, rank_of(x, n, i), rank_of(y, n, i));
    return correlation(&m);
}

static void the_fisher_agrees(void)
{
    subject s;
    chats c;
    agreement a = {0};
    rs_fisher_result r;
    char out[600];
    snprintf(out, sizeof out, "%s/f.safetensors", t_folder());
    T_OK(open_subject(&s, &t_err));
    T_OK(read_chats(CHATS, &c, &t_err));
    T_TRUE(c.n >= LEAST_CHATS && s.config->n_layers <= MAX_LAYERS);
    rs_fisher_options o = {.kind = RS_FISHER_SEQUENCE, .per_token = true, .out = out};
    o.wants = is_matrix, o.wants_ctx = &s;
    T_OK(rs_fisher_run(&s.rt, s.file, s.config, c.at, c.n, &o, &r, &t_err));
    T_OK(rs_checkpoint_open(out, &s.have, &t_err));
    T_OK(compare_all(&s, &a, &t_err));
    double layers = spearman(a.have, a.want, s.config->n_layers);
    printf("  %d chats, %" PRId64 " tokens at %.3f nat: log F %.4f, matrices %.4f, "
           "layers %.4f\n",
           c.n, r.tokens, r.loss, correlation(&a.log_f), correlation(&a.means), layers);
    T_TRUE((double)a.zero <= 1e-3 * a.log_f.n);
    T_TRUE(correlation(&a.log_f) >= 0.9);
    T_TRUE(layers >= 0.9);
    T_TRUE(correlation(&a.means) >= 0.98);
    unlink(out);
    free_chats(&c);
    close_subject(&s);
}

static bool holds(char *const *list, int n, const char *text)
{
    for (int i = 0; i < n; i++)
        if (strcmp(list[i], text) == 0) return true;
    return false;
}

/* No request comes twice in a file, and no text of one stands in the other. */
static void the_files_are_apart(void)
{
    chats c, h;
    T_OK(read_chats(CHATS, &c, &t_err));
    T_OK(read_chats(HELDOUT, &h, &t_err));
    T_EQ(h.n, HELDOUT_CHATS);
    for (int i = 0; i < c.n; i++) T_TRUE(!holds(c.prompt, i, c.prompt[i]));
    for (int i = 0; i < h.n; i++) {
        T_TRUE(!holds(h.prompt, i, h.prompt[i]));
        T_TRUE(!holds(c.prompt, c.n, h.prompt[i]));
        T_TRUE(!holds(c.text, c.n, h.text[i]));
    }
    free_chats(&c);
    free_chats(&h);
}

T_MAIN(T_TEST(the_fisher_agrees), T_TEST(the_files_are_apart))
