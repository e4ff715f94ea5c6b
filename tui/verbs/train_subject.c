/* What a training works on: the model, the adapter that begins, the corpora, the
 * directions that are protected. */
#include "base/os.h"
#include "merge/adapter.h"
#include "merge/selector.h"
#include "store/subspace_file.h"
#include "tui/app/corpus.h"
#include "tui/app/mem.h"
#include "tui/verbs/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL_RANK = 16 };
enum { VALID_WINDOWS = 8 }; /* of a corpus that are kept for validation, about */

/* --- corpora --- */

static void add(ui_trainee *t, const char *path, size_t n, double weight)
{
    t->corpora = ui_grow(t->corpora, t->n, &t->cap, sizeof *t->corpora);
    ui_train_corpus *c = &t->corpora[t->n++];
    *c = (ui_train_corpus){.name = ui_alloc(n + 1, 1), .weight = weight};
    memcpy(c->name, path, n);
    c->name[n] = 0;
}

void ui_trainee_add_weighed(ui_trainee *t, const char *path, double weight)
{
    add(t, path, strlen(path), weight);
}

void ui_trainee_add(ui_trainee *t, const char *path_and_weight)
{
    double weight;
    const char *colon = ui_corpus_weight(path_and_weight, &weight);
    add(t, path_and_weight,
        colon ? (size_t)(colon - path_and_weight) : strlen(path_and_weight), weight);
}

/* The last sequences of a corpus, which are trained on by nobody: as many whole ones as hold
 * the share of what counts, or of large corpora some windows full. The last window of a text
 * may be short: it is one of them, not all. */
static int for_validation(const ui_train_opts *o, const ui_examples *e)
{
    int64_t all = 0, held = 0;
    int n = 0;
    for (int i = 0; i < e->n; i++)
        all += rs_labels_counted(e->at[i].labels, e->at[i].n);
    double want = o->validation * (double)all;
    double most = (double)(VALID_WINDOWS * (o->length - 1));
    if (want > most) want = most;
    while (n + 1 < e->n && (double)held < want) {
        const rs_example *last = &e->at[e->n - ++n];
        held += rs_labels_counted(last->labels, last->n);
    }
    return n;
}

static rs_status read_corpus(const ui_train_opts *o, ui_trainee *t, int i, rs_err *err)
{
    ui_train_corpus *c = &t->corpora[i];
    RS_TRY(ui_examples_read(t->m.config, t->m.tokenizer, t->m.chat, c->name,
                            o->jsonl != NULL, o->raw, NULL, o->length, 0, &c->data,
                            err));
    if (o->order && strcmp(o->order, "file") == 0 && c->data.passed_over > 0)
        return rs_fail(
            err, RS_E_INVALID,
            "%s has %d lines in which nothing counts: the order of the file has "
            "no place for them",
            c->name, c->data.passed_over);
    int n = for_validation(o, &c->data);
    t->views[i] = (rs_train_corpus){.name = c->name,
                                    .train = c->data.at,
                                    .n_train = c->data.n - n,
                                    .valid = c->data.at + (c->data.n - n),
                                    .n_valid = n,
                                    .weight = c->weight};
    return RS_OK;
}

static rs_status read_corpora(const ui_train_opts *o, ui_trainee *t, rs_err *err)
{
    t->views = ui_alloc((size_t)t->n + 1, sizeof *t->views);
    for (int i = 0; i < t->n; i++)
        RS_TRY(read_corpus(o, t, i, err));
    return RS_OK;
}

/* --- targets --- */

typedef struct targets {
    const rs_config *config;
    const ui_train_opts *o;
    const rs_adapter *init; /* or NULL */
    rs_arena arena;
    const rs_selector *any[RS_TARGETS];
    int n;
    bool *layers; /* or NULL: all */
} targets;

static const rs_adapter_pair *pair_of(const rs_adapter *a, const rs_config *c,
                                      const char *weight)
{
    rs_role own = rs_role_of(c, weight);
    for (int i = 0; a && i < a->n_pairs; i++) {
        rs_role role = rs_role_of(c, a->pairs[i].weight);
        if (role.kind == own.kind && role.layer == own.layer &&
            strcmp(role.tail, own.tail) == 0)
            return &a->pairs[i];
    }
    return NULL;
}

static bool is_target(void *ctx, const char *name, int layer)
{
    const targets *t = ctx;
    rs_role role = rs_role_of(t->config, name);
    if (t->layers && !t->layers[layer]) return false;
    for (int i = 0; i < t->n; i++)
        if (rs_selector_matches(t->any[i], t->config, &role, name)) return true;
    if (t->n > 0) return false;
    return t->init ? pair_of(t->init, t->config, name) != NULL
                   : role.kind <= RS_KIND_DOWN;
}

static rs_status parse_targets(targets *t, rs_err *err)
{
    for (int i = 0; i < t->o->targets.n; i++)
        if (rs_selector_targets(&t->arena, t->o->targets.at[i], t->any, &t->n, err) != RS_OK)
            return rs_err_prefix(err, "--targets");
    if (!t->o->layers) return RS_OK;
    t->layers = rs_arena_array(&t->arena, (size_t)t->config->n_layers, sizeof *t->layers);
    if (!t->layers) return rs_fail(err, RS_E_NOMEM, "no memory for a list of layers");
    if (rs_layer_list(t->o->layers, t->config->n_layers, t->layers)) return RS_OK;
    return rs_fail(err, RS_E_INVALID, "--layers %s: layers are 0 to %d, as in 0-3,6",
                   t->o->layers, t->config->n_layers - 1);
}

/* --- the adapter that begins --- */

static rs_status check_init(const ui_train_opts *o, const rs_adapter *a, rs_err *err)
{
    for (int i = 0; i < a->n_pairs; i++)
        if (a->pairs[i].rank != a->rank || a->pairs[i].scale != a->pairs[0].scale)
            return rs_fail(err, RS_E_UNSUPPORTED,
                           "%s has different ranks or scales (%s, %s): one is trained",
                           o->init, a->pairs[0].module, a->pairs[i].module);
    if (o->rank != UI_UNSAID && o->rank != a->rank)
        return rs_fail(err, RS_E_INVALID, "--rank %" PRId64 ", but %s has rank %d",
                       o->rank, o->init, a->rank);
    if (o->alpha > 0 && o->alpha != a->alpha)
        return rs_fail(err, RS_E_INVALID, "--alpha %g, but %s has alpha %g", o->alpha,
                       o->init, a->alpha);
    if (o->rslora && !a->rslora)
        return rs_fail(err, RS_E_INVALID, "--rslora, but %s is scaled by alpha / rank",
                       o->init);
    return RS_OK;
}

static rs_status copy_init(const rs_config *c, const rs_adapter *a, rs_lora *l,
                           rs_err *err)
{
    for (int i = 0; i < l->n; i++) {
        rs_lora_pair *p = &l->pairs[i];
        bool exact;
        const rs_adapter_pair *from = pair_of(a, c, p->weight);
        if (!from)
            return rs_fail(err, RS_E_MISMATCH, "%s has no factors of %s", a->path,
                           p->weight);
        if (rs_adapter_rows(a, from) != p->rows || rs_adapter_cols(a, from) != p->cols)
            return rs_fail(err, RS_E_MISMATCH,
                           "%s: the factors of %s make %" PRId64 " x %" PRId64
                           ", the model's is %" PRId64 " x %" PRId64,
                           a->path, from->module, rs_adapter_rows(a, from),
                           rs_adapter_cols(a, from), p->rows, p->cols);
        RS_TRY(rs_adapter_read(a, from, p->a, p->b, &exact, err));
    }
    return RS_OK;
}

static rs_status make_lora(const ui_train_opts *o, const rs_adapter *init, ui_trainee *t,
                           rs_err *err)
{
    targets wanted = {.config = t->m.config, .o = o, .init = init};
    int rank = init ? init->rank : o->rank != UI_UNSAID ? (int)o->rank : USUAL_RANK;
    rs_lora_options lo = {.rank = rank,
                          .alpha = init           ? init->alpha
                                   : o->alpha > 0 ? o->alpha
                                                  : 2.0 * rank,
                          .rslora = init ? init->rslora : o->rslora,
                          .seed = (uint64_t)o->seed,
                          .wants = is_target,
                          .wants_ctx = &wanted};
    rs_status s = parse_targets(&wanted, err);
    if (s == RS_OK) s = rs_lora_new(t->file, t->m.config, &lo, &t->lora, err);
    if (s == RS_OK && init) s = copy_init(t->m.config, init, t->lora, err);
    rs_arena_free(&wanted.arena);
    return s;
}

static rs_status begin(const ui_train_opts *o, ui_progress *show, ui_trainee *t,
                       rs_err *err)
{
    rs_adapter *init = NULL;
    rs_status s = o->init ? rs_adapter_open(o->init, &init, err) : RS_OK;
    if (s == RS_OK && init) s = check_init(o, init, err);
    if (s == RS_OK) s = make_lora(o, init, t, err);
    if (s == RS_OK && init && init->n_pairs > t->lora->n) {
        char text[256];
        snprintf(text, sizeof text, "%d of the %d matrices of %.150s are left out",
                 init->n_pairs - t->lora->n, init->n_pairs, o->init);
        ui_progress_warn(show, text);
    }
    rs_adapter_close(init);
    return s;
}

/* --- protected directions --- */

static rs_status protect_pair(const ui_train_opts *o, const rs_subspace_file *f,
                              ui_trainee *t, int i, rs_err *err)
{
    const rs_lora_pair *p = &t->lora->pairs[i];
    const rs_subspace_entry *e = rs_subspace_find(f, p->weight);
    bool out = strcmp(o->side, "in") != 0, in = strcmp(o->side, "out") != 0;
    if (!e || (out && !e->u) || (in && !e->v))
        return rs_fail(err, RS_E_MISMATCH, "%s has no directions %s%s: fewer --targets?",
                       f->path, e ? "on that side of " : "of ", p->weight);
    RS_TRY(rs_subspace_fits(f, e, p->rows, p->cols, err));
    float *u = out ? ui_alloc((size_t)(p->rows * e->rank), sizeof *u) : NULL;
    float *v = in ? ui_alloc((size_t)(p->cols * e->rank), sizeof *v) : NULL;
    rs_status s = rs_subspace_read(f, e, u, v, NULL, err);
    if (s == RS_OK) s = rs_protect(t->protection, i, u, v, e->rank, err);
    free(u);
    free(v);
    return s;
}

static rs_status check_hashes(const rs_subspace_file *f, const ui_trainee *t, rs_err *err)
{
    if (!f->from_hash || !f->to_hash || strcmp(f->from_hash, t->model_hash) == 0 ||
        strcmp(f->to_hash, t->model_hash) == 0)
        return RS_OK;
    return rs_fail(err, RS_E_MISMATCH,
                   "%s is of the models %.8s and %.8s, this one is %.8s (by contents)",
                   f->path, f->from_hash, f->to_hash, t->model_hash);
}

/* Matrices whose whole side is protected cannot change at all. */
static rs_status check_room_left(const ui_train_opts *o, const rs_subspace_file *f,
                                 ui_progress *show, const ui_trainee *t, rs_err *err)
{
    int full = 0;
    char text[256];
    if (strcmp(o->project, "exact") != 0 || o->strength < 1) return RS_OK;
    for (int i = 0; i < t->lora->n; i++) {
        const rs_lora_pair *p = &t->lora->pairs[i];
        int64_t rank = rs_subspace_find(f, p->weight)->rank;
        full += (rank >= p->rows && strcmp(o->side, "in") != 0) ||
                (rank >= p->cols && strcmp(o->side, "out") != 0);
    }
    if (full == t->lora->n)
        return rs_fail(err, RS_E_INVALID,
                       "%s protects every direction of all %d matrices: nothing is left to "
                       "train; make one of a smaller rank",
                       f->path, full);
    snprintf(text, sizeof text, "%d of the %d matrices stay as they are: all their "
                                "directions are protected", full, t->lora->n);
    if (full > 0) ui_progress_warn(show, text);
    return RS_OK;
}

static rs_status protect(ui_common *c, const ui_train_opts *o, ui_progress *show,
                         ui_trainee *t, rs_err *err)
{
    rs_subspace_file *f;
    RS_TRY(rs_subspace_open(o->subspace, &f, err));
    rs_status s = check_hashes(f, t, err);
    if (s == RS_OK) s = ui_content_hash(c, f->file, show, t->subspace_hash, err);
    if (s == RS_OK) s = rs_protection_new(&c->rt, t->lora, &t->protection, err);
    for (int i = 0; s == RS_OK && i < t->lora->n; i++)
        s = protect_pair(o, f, t, i, err);
    if (s == RS_OK) s = check_room_left(o, f, show, t, err);
    rs_subspace_close(f);
    return s;
}

/* --- what may be replaced --- */

static rs_status keep_apart(const ui_train_opts *o, const char *path, rs_err *err)
{
    static const char *const of_out[] = {"", ".partial", ".training"};
    char folder[4096];
    for (size_t i = 0; path && i < sizeof of_out / sizeof *of_out; i++) {
        int n = snprintf(folder, sizeof folder, "%s%s", o->out, of_out[i]);
        if (n > 0 && (size_t)n < sizeof folder && rs_os_is_within(path, folder))
            return rs_fail(err, RS_E_EXISTS,
                           "%s would be replaced by what is made from it: another --out?",
                           path);
    }
    return RS_OK;
}

/* Not even --force puts an adapter where the model, data or anything else that it is made
 * from lies. */
static rs_status keep_all_apart(const ui_train_opts *o, const ui_trainee *t, rs_err *err)
{
    RS_TRY(keep_apart(o, t->m.path, err));
    for (int i = 0; i < rs_checkpoint_n_files(t->file); i++)
        RS_TRY(keep_apart(o, rs_checkpoint_file(t->file, i), err));
    for (int i = 0; i < t->n; i++)
        RS_TRY(keep_apart(o, t->corpora[i].name, err));
    RS_TRY(keep_apart(o, o->subspace, err));
    return keep_apart(o, o->init, err);
}

/* --- all of it --- */

rs_status ui_trainee_open(ui_common *c, const ui_train_opts *o, ui_progress *show,
                          ui_trainee *t, rs_err *err)
{
    const int parts = UI_MODEL_FILES | UI_MODEL_WEIGHTS | UI_MODEL_TOKENIZER_IF;
    RS_TRY(ui_model_open(c, o->model, parts, o->chat_template, &t->m, err));
    RS_TRY(rs_checkpoint_open(t->m.path, &t->file, err));
    if (o->length > t->m.config->max_positions)
        return rs_fail(err, RS_E_INVALID,
                       "--length %" PRId64 ": the model takes %d tokens", o->length,
                       t->m.config->max_positions);
    RS_TRY(keep_all_apart(o, t, err));
    RS_TRY(read_corpora(o, t, err));
    RS_TRY(ui_content_hash(c, t->file, show, t->model_hash, err));
    RS_TRY(ui_identity(c, t->m.path, UI_ID_CONFIG, show, t->identity, err));
    RS_TRY(begin(o, show, t, err));
    return o->subspace ? protect(c, o, show, t, err) : RS_OK;
}

void ui_trainee_close(ui_trainee *t)
{
    for (int i = 0; i < t->n; i++) {
        ui_examples_free(&t->corpora[i].data);
        free(t->corpora[i].name);
    }
    free(t->corpora);
    free(t->views);
    rs_protection_free(t->protection);
    rs_lora_free(t->lora);
    rs_checkpoint_close(t->file);
    ui_model_close(&t->m);
}
