/* ringside subspace: the directions that instruction tuning, or any other, moved a model in. */
#include "learn/subspace.h"
#include "merge/selector.h"
#include "tensor/svd.h"
#include "tui/verbs/products.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct subspace_opts {
    const char *from, *to, *weight, *out, *tensors, *spectrum;
    const char *made_from; /* metadata of what prepare makes, or NULL */
    int64_t rank, seed;
    double energy;
    bool exact, force;
} subspace_opts;

static const ui_opt opts[] = {
    {"--from", UI_OPT_STRING, "M", "the model before", offsetof(subspace_opts, from)},
    {"--to", UI_OPT_STRING, "M", "the model after", offsetof(subspace_opts, to)},
    {"--rank", UI_OPT_INT, "R", "directions of each matrix",
     offsetof(subspace_opts, rank)},
    {"--energy", UI_OPT_NUMBER, "E", "instead: as many as keep this share of the squares",
     offsetof(subspace_opts, energy)},
    {"--exact", UI_OPT_FLAG, NULL, "by eigenvalues in float64, not by random projections",
     offsetof(subspace_opts, exact)},
    {"--weight", UI_OPT_STRING, "FISHER",
     "of sqrt(F) times the difference, element by element",
     offsetof(subspace_opts, weight)},
    {"--tensors", UI_OPT_STRING, "SEL", "only matrices that a selector takes",
     offsetof(subspace_opts, tensors)},
    {"--spectrum", UI_OPT_STRING, "SEL",
     "write nothing, print all singular values of these",
     offsetof(subspace_opts, spectrum)},
    {"--out", UI_OPT_STRING, "F", "the safetensors file", offsetof(subspace_opts, out)},
    {"--force", UI_OPT_FLAG, NULL, "replace an existing file",
     offsetof(subspace_opts, force)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

typedef struct subject {
    char from_path[4096], to_path[4096];
    rs_checkpoint *from, *to, *weight;
    rs_config *config;
    rs_arena arena;
    const rs_selector *selector;
    rs_buf json, table;
    int n;
    bool about; /* values are those of a random range */
} subject;

static int check_words(const subspace_opts *o)
{
    bool writes = !o->spectrum;
    if (!o->from || !o->to || (writes && !o->out))
        return ui_usage("subspace",
                        "--from M, --to M and --out F (or --spectrum SEL) are needed");
    if (!writes &&
        (o->out || o->rank || o->energy || o->exact || o->tensors || o->weight))
        return ui_usage("subspace", "--spectrum goes with --from and --to alone");
    if (!writes) return UI_EXIT_OK;
    if ((o->rank != 0) == (o->energy != 0))
        return ui_usage("subspace", "give either --rank R or --energy E");
    if (o->rank < 0 || o->rank > 100000)
        return ui_usage("subspace", "--rank %" PRId64 " is no rank", o->rank);
    if (o->energy < 0 || o->energy > 1)
        return ui_usage("subspace", "--energy %g is not from 0 to 1", o->energy);
    return UI_EXIT_OK;
}

static bool wants(void *ctx, const char *name, int layer)
{
    const subject *s = ctx;
    (void)layer;
    rs_role role = rs_role_of(s->config, name);
    return rs_selector_matches(s->selector, s->config, &role, name);
}

static void tell(void *ctx, const char *name, int rank, double kept, double largest)
{
    subject *s = ctx;
    rs_buf_puts(&s->json, s->n++ ? ",{\"name\":" : "{\"name\":");
    rs_buf_json(&s->json, name, strlen(name));
    rs_buf_printf(&s->json, ",\"rank\":%d,\"kept\":", rank);
    rs_buf_json_double(&s->json, kept);
    rs_buf_puts(&s->json, ",\"largest\":");
    rs_buf_json_double(&s->json, largest);
    rs_buf_putc(&s->json, '}');
    char value[40];
    snprintf(value, sizeof value, "%s%.4f", s->about ? "~" : "", largest);
    rs_buf_printf(&s->table, "%6d  %5.1f %% %10s  ", rank, kept * 100, value);
    ui_put_clean(&s->table, name);
    rs_buf_putc(&s->table, '\n');
}

static rs_status open_subject(const subspace_opts *o, subject *s, rs_err *err)
{
    RS_TRY(ui_resolve(NULL, o->from, s->from_path, err));
    RS_TRY(ui_resolve(NULL, o->to, s->to_path, err));
    RS_TRY(rs_checkpoint_open(s->from_path, &s->from, err));
    RS_TRY(rs_checkpoint_open(s->to_path, &s->to, err));
    RS_TRY(rs_config_load(s->to, &s->config, err));
    if (o->weight) RS_TRY(rs_checkpoint_open(o->weight, &s->weight, err));
    const char *selector = o->spectrum ? o->spectrum : o->tensors;
    return selector ? rs_selector_parse(&s->arena, selector, &s->selector, err) : RS_OK;
}

static void close_subject(subject *s)
{
    rs_buf_free(&s->json);
    rs_buf_free(&s->table);
    rs_arena_free(&s->arena);
    rs_config_free(s->config);
    rs_checkpoint_close(s->from);
    rs_checkpoint_close(s->to);
    rs_checkpoint_close(s->weight);
}

static rs_status work(ui_common *c, const subspace_opts *o, subject *s, ui_progress *show,
                      rs_subspace_result *r, rs_err *err)
{
    char from[33], to[33], weight[33];
    RS_TRY(open_subject(o, s, err));
    RS_TRY(ui_content_hash(c, s->from, show, from, err));
    RS_TRY(ui_content_hash(c, s->to, show, to, err));
    s->about = !o->exact && o->rank > 0;
    if (strcmp(from, to) == 0)
        return rs_fail(err, RS_E_INVALID,
                       "%s and %s hold the same numbers: nothing is between them",
                       s->from_path, s->to_path);
    if (s->weight) RS_TRY(ui_content_hash(c, s->weight, show, weight, err));
    rs_string_pair pairs[7] = {{"kind", "subspace"},
                               {"from_hash", from},
                               {"to_hash", to},
                               {"method", s->about ? "random" : "exact"}};
    int n = 4;
    if (s->weight) pairs[n++] = (rs_string_pair){"weight", "sqrt_fisher"};
    if (s->weight) pairs[n++] = (rs_string_pair){"weight_hash", weight};
    if (o->made_from) pairs[n++] = (rs_string_pair){UI_MADE_FROM, o->made_from};
    rs_subspace_options p = {.rank = (int)o->rank,
                             .energy = o->energy,
                             .exact = o->exact,
                             .seed = (uint64_t)o->seed,
                             .weight = s->weight,
                             .wants = s->selector ? wants : NULL,
                             .wants_ctx = s,
                             .metadata = pairs,
                             .n_metadata = n,
                             .out = o->out,
                             .force = o->force,
                             .progress = ui_progress_step,
                             .progress_ctx = show,
                             .done = tell,
                             .done_ctx = s};
    return rs_subspace_run(&c->rt, s->from, s->to, s->config, &p, r, err);
}

static void say(const ui_common *c, const subspace_opts *o, const subject *s,
                const rs_subspace_result *r)
{
    rs_buf b = {0};
    if (c->json) {
        rs_buf_puts(&b, "{\"out\":");
        rs_buf_json(&b, o->out, strlen(o->out));
        rs_buf_puts(&b, ",\"kept\":");
        rs_buf_json_double(&b, r->kept);
        rs_buf_printf(&b, ",\"tensors\":[%s]}\n", rs_buf_str(&s->json));
    } else if (!c->quiet) {
        rs_buf_printf(&b, "  rank     kept    largest\n%s", rs_buf_str(&s->table));
        rs_buf_printf(&b, "%d matrices, rank %d to %d, %.1f %% of the squares kept\n",
                      r->n_tensors, r->least_rank, r->most_rank, r->kept * 100);
    }
    ui_print(&b);
    rs_buf_free(&b);
}

/* --- all singular values --- */

static void spectrum_json(subject *s, const char *name, const double *v, int64_t n)
{
    rs_buf_puts(&s->json, s->n++ ? ",{\"name\":" : "{\"name\":");
    rs_buf_json(&s->json, name, strlen(name));
    rs_buf_puts(&s->json, ",\"values\":[");
    for (int64_t i = 0; i < n; i++) {
        if (i) rs_buf_putc(&s->json, ',');
        rs_buf_json_double(&s->json, v[i]);
    }
    rs_buf_puts(&s->json, "]}");
}

static void spectrum_text(subject *s, const char *name, const double *v, int64_t n)
{
    ui_put_clean(&s->table, name);
    rs_buf_printf(&s->table,
                  "   half of the squares in rank %d, 90 %% in %d of %" PRId64 "\n"
                  "   rank      value      kept\n",
                  rs_svd_rank_of(v, n, 0.5), rs_svd_rank_of(v, n, 0.9), n);
    for (int64_t r = 1; r <= n; r++)
        rs_buf_printf(&s->table, "%7" PRId64 "  %9.6g  %6.2f %%\n", r, v[r - 1],
                      100 * rs_svd_kept(v, n, r));
}

static rs_status spectrum_of(ui_common *c, subject *s, const char *name, rs_err *err)
{
    double *v;
    int64_t n;
    RS_TRY(rs_subspace_values(&c->rt, s->from, s->to, name, &v, &n, err));
    if (c->json)
        spectrum_json(s, name, v, n);
    else
        spectrum_text(s, name, v, n);
    free(v);
    return RS_OK;
}

static rs_status spectra(ui_common *c, const subspace_opts *o, subject *s,
                         ui_progress *show, rs_err *err)
{
    RS_TRY(open_subject(o, s, err));
    int n = rs_checkpoint_count(s->to), done = 0;
    for (int i = 0; i < n; i++) {
        const rs_tensor *t = rs_checkpoint_at(s->to, i);
        rs_role role = rs_role_of(s->config, t->name);
        rs_progress g = {(uint64_t)i, (uint64_t)n, "tensors", t->name};
        if (t->n_dims != 2 || role.layer < 0 ||
            !rs_selector_matches(s->selector, s->config, &role, t->name))
            continue;
        if (!ui_progress_step(show, &g))
            return rs_fail(err, RS_E_CANCELLED, "cancelled at %s", t->name);
        RS_TRY(spectrum_of(c, s, t->name, err));
        done++;
    }
    if (done) return RS_OK;
    return rs_fail(err, RS_E_INVALID, "\"%s\" takes no matrix inside the layers",
                   o->spectrum);
}

static void say_spectra(const ui_common *c, const subject *s)
{
    rs_buf b = {0};
    if (c->json) rs_buf_printf(&b, "{\"tensors\":[%s]}\n", rs_buf_str(&s->json));
    if (!c->json) rs_buf_puts(&b, rs_buf_str(&s->table));
    ui_print(&b);
    rs_buf_free(&b);
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args, (void)args;
    subspace_opts *o = options;
    o->seed = c->seed;
    int wrong = check_words(o);
    if (wrong) return wrong;
    subject s = {0};
    rs_err err;
    ui_progress show;
    rs_subspace_result r = {0};
    ui_progress_begin(&show, c, "subspace");
    rs_status st =
        o->spectrum ? spectra(c, o, &s, &show, &err) : work(c, o, &s, &show, &r, &err);
    ui_progress_end(&show, st, &err, NULL);
    if (st == RS_OK && o->spectrum) say_spectra(c, &s);
    if (st == RS_OK && !o->spectrum) say(c, o, &s, &r);
    close_subject(&s);
    return st == RS_OK ? UI_EXIT_OK : ui_fail("subspace", &err);
}

rs_status ui_subspace_make(ui_common *c, const rs_make *m, ui_product *p,
                           ui_progress *show, rs_err *err)
{
    subject s = {0};
    rs_subspace_result r = {0};
    subspace_opts o = {.from = p->model[0],
                       .to = p->model[1],
                       .out = p->out,
                       .tensors = m->tensors,
                       .weight = p->measure,
                       .made_from = p->made_from,
                       .rank = m->rank,
                       .seed = m->seed,
                       .energy = m->energy,
                       .exact = m->exact,
                       .force = p->force};
    rs_status st = work(c, &o, &s, show, &r, err);
    close_subject(&s);
    return st;
}

const ui_verb ui_verb_subspace = {
    .name = "subspace",
    .usage =
        "--from M --to M (--rank R | --energy E) --out F [--exact] [--weight FISHER], "
        "or --spectrum SEL",
    .summary = "leading singular vectors of what one model differs from another by",
    .details =
        "For every matrix inside the layers U, S and V of W_to - W_from, float32, under "
        "the tensor's name with .U, .S and .V in place of .weight. Prints rank, share "
        "of the squares kept and the largest singular value of each. With --weight, a "
        "Fisher file, it is sqrt(F) (W_to - W_from), element by element: the directions "
        "in which the difference moves the loss most. --spectrum prints "
        "all "
        "singular values of the matrices that a selector takes, and what each rank "
        "keeps.",
    .opts = opts,
    .opts_size = sizeof(subspace_opts),
    .run = run,
};
