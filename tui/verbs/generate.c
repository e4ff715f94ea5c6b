#include "base/os.h"
#include "tui/verbs/text_opts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BATCH = 256 };

typedef struct generate_opts {
    const char *model, *prompt, *jsonl, *out;
    bool force;
    int64_t batch;
    ui_text_opts text;
} generate_opts;

static const ui_opt rows[] = {
    {"--model", UI_OPT_STRING, "M", "model or RECIPE.json[:stage]",
     offsetof(generate_opts, model)},
    {"--prompt", UI_OPT_STRING, "TEXT", "one prompt; its text streams to stdout",
     offsetof(generate_opts, prompt)},
    {"--prompts,--jsonl", UI_OPT_STRING, "FILE", "lines of JSON with prompts",
     offsetof(generate_opts, jsonl)},
    {"--batch", UI_OPT_INT, "N", "texts written at once (1); never changes a text",
     offsetof(generate_opts, batch)},
    {"--out", UI_OPT_STRING, "FILE", "prompts and responses as lines of JSON",
     offsetof(generate_opts, out)},
    {"--force", UI_OPT_FLAG, NULL, "overwrite --out", offsetof(generate_opts, force)},
    UI_TEXT_OPTS(generate_opts, text),
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

static void defaults(void *opts)
{
    generate_opts *o = opts;
    o->batch = 1;
    ui_text_opts_defaults(&o->text);
}

/* One request and what became of it. */
typedef struct task {
    rs_line line;
    rs_generator *generator; /* while it is being written, and until it is printed */
    double began, rate;      /* began: when its prompt was read */
    bool done;
} task;

typedef struct job {
    ui_common *common;
    const generate_opts *opts;
    ui_model model;
    ui_text_params params;
    ui_progress progress;
    task *tasks;
    int n, started, printed;
    FILE *out;
    bool streams, to_terminal;
} job;

static uint64_t seed_of(const job *j, int i)
{
    return j->params.p.sampler.seed + (uint64_t)i;
}

/* ---- requests ---- */

static rs_status add_task(job *j, rs_line *line, rs_err *err)
{
    if ((j->n & (j->n - 1)) == 0) { /* a power of two: full */
        size_t cap = j->n ? (size_t)j->n * 2 : 1;
        task *bigger = realloc(j->tasks, cap * sizeof *bigger);
        if (!bigger) return rs_fail(err, RS_E_NOMEM, "no memory for %d prompts", j->n);
        j->tasks = bigger;
    }
    j->tasks[j->n++] = (task){.line = *line};
    *line = (rs_line){0};
    return RS_OK;
}

static rs_status read_prompts(job *j, rs_err *err)
{
    const generate_opts *o = j->opts;
    rs_line line = {0};
    if (o->prompt) {
        RS_TRY(rs_line_from_prompt(o->prompt, strlen(o->prompt), &j->params.line, &line,
                                   err));
        rs_status s = add_task(j, &line, err);
        rs_line_free(&line);
        return s;
    }
    rs_lines *lines;
    bool done = false;
    RS_TRY(rs_lines_open(o->jsonl, &lines, err));
    rs_status s = RS_OK;
    while (s == RS_OK && !done) {
        s = rs_lines_parse(lines, &j->params.line, &line, &done, err);
        if (s == RS_OK && !done && line.ids.n == 0)
            s = rs_fail(err, RS_E_INVALID, "%s: there are no tokens to begin with",
                        rs_lines_where(lines));
        if (s == RS_OK && !done) s = add_task(j, &line, err);
    }
    rs_line_free(&line);
    rs_lines_close(lines);
    return s;
}

/* ---- results ---- */

static rs_status write_out(job *j, const task *t, int i, rs_err *err)
{
    rs_buf b = {0};
    size_t n;
    const char *text = rs_generator_text(t->generator, &n);
    ui_text_result_json(&b, t->generator, t->rate, seed_of(j, i));
    rs_buf_puts(&b, ",\"prompt\":");
    rs_buf_json(&b, rs_buf_str(&t->line.prompt), t->line.prompt.len);
    rs_buf_puts(&b, ",\"response\":");
    rs_buf_json(&b, text, n);
    if (t->line.label.len) rs_buf_printf(&b, ",\"id\":%s", rs_buf_str(&t->line.label));
    rs_buf_puts(&b, "}\n");
    bool ok =
        !b.failed && fwrite(b.data, 1, b.len, j->out) == b.len && fflush(j->out) == 0;
    rs_buf_free(&b);
    return ok ? RS_OK : rs_fail_errno(err, errno, "write %s", j->opts->out);
}

/* What is said of a finished text beside the text itself. */
static void describe(const job *j, const task *t, int i, rs_buf *out)
{
    int64_t n_prompt, n;
    rs_generator_ids(t->generator, &n_prompt, &n);
    rs_buf_printf(out, "seed %" PRIu64 ", %" PRId64 " tokens, stopped by %s, %.1f tok/s",
                  seed_of(j, i), n - n_prompt,
                  rs_stop_name(rs_generator_stopped(t->generator)), t->rate);
}

static void print_for_people(const job *j, const task *t, int i)
{
    rs_buf b = {0};
    size_t n;
    const char *text = rs_generator_text(t->generator, &n);
    if (j->streams) { /* the text is out already */
        rs_buf_putc(&b, '\n');
        ui_print(&b);
        rs_buf_reset(&b);
        describe(j, t, i, &b);
        if (!j->common->quiet) fprintf(stderr, "%s\n", rs_buf_str(&b));
    } else {
        rs_buf_printf(&b, "=== %d of %d: ", i + 1, j->n);
        describe(j, t, i, &b);
        rs_buf_puts(&b, "\n");
        ui_text_show(&b, text, n, j->to_terminal);
        rs_buf_puts(&b, "\n\n");
        ui_print(&b);
    }
    rs_buf_free(&b);
}

static rs_status print_task(job *j, int i, rs_err *err)
{
    task *t = &j->tasks[i];
    rs_status s = RS_OK;
    if (j->out) s = write_out(j, t, i, err);
    if (s == RS_OK && j->common->json) {
        rs_buf b = {0};
        ui_text_result_json(&b, t->generator, t->rate, seed_of(j, i));
        rs_buf_puts(&b, "}\n");
        ui_print(&b);
        rs_buf_free(&b);
    } else if (s == RS_OK && (!j->out || j->streams)) {
        print_for_people(j, t, i);
    }
    rs_generator_free(t->generator);
    t->generator = NULL;
    return s;
}

/* In the order of the prompts, as far as they are done. */
static rs_status print_ready(job *j, rs_err *err)
{
    while (j->printed < j->n && j->tasks[j->printed].done) {
        RS_TRY(print_task(j, j->printed++, err));
        rs_progress p = {(uint64_t)j->printed, (uint64_t)j->n, "texts", "writing"};
        if (j->n > 1) (void)ui_progress_step(&j->progress, &p);
    }
    return RS_OK;
}

/* ---- writing ---- */

static bool go_on(void *ctx, const rs_progress *p)
{
    (void)ctx;
    (void)p;
    return !ui_interrupted();
}

static rs_status start_task(job *j, int i, rs_err *err)
{
    task *t = &j->tasks[i];
    rs_generate_params p = j->params.p;
    p.sampler.seed = seed_of(j, i);
    rs_status s = rs_generator_new(&j->common->rt, j->model.model, j->model.tokenizer,
                                   t->line.ids.at, t->line.ids.n, &p, &t->generator, err);
    if (s == RS_OK) s = rs_generator_prefill(t->generator, go_on, NULL, err);
    t->began = ui_now();
    if (s != RS_OK && j->n > 1 && s != RS_E_CANCELLED)
        return rs_err_prefix(err, "prompt %d of %d", i + 1, j->n);
    return s;
}

static void note_event(job *j, task *t, const rs_token_event *e)
{
    if (j->streams && e->n_text) {
        rs_buf b = {0};
        ui_text_show(&b, e->text, e->n_text, j->to_terminal);
        ui_print(&b);
        rs_buf_free(&b);
    }
    if (e->stop == RS_STOP_NONE) return;
    int64_t n_prompt, n;
    rs_generator_ids(t->generator, &n_prompt, &n);
    double seconds = ui_now() - t->began;
    t->rate = seconds > 0 ? (double)(n - n_prompt) / seconds : 0;
    t->done = true;
}

/* Steps all texts in work as one batch; ends are noted, places refilled by the caller. */
static rs_status step_batch(job *j, int *active, int *n_active, rs_err *err)
{
    rs_generator *g[MAX_BATCH];
    rs_token_event e[MAX_BATCH];
    int n = *n_active, kept = 0;
    for (int i = 0; i < n; i++)
        g[i] = j->tasks[active[i]].generator;
    RS_TRY(rs_generator_step_all(g, n, e, err));
    for (int i = 0; i < n; i++) {
        task *t = &j->tasks[active[i]];
        note_event(j, t, &e[i]);
        if (!t->done) active[kept++] = active[i];
    }
    *n_active = kept;
    return RS_OK;
}

static rs_status write_all(job *j, rs_err *err)
{
    int active[MAX_BATCH], n = 0;
    while (j->printed < j->n) {
        while (n < j->opts->batch && j->started < j->n) {
            RS_TRY(start_task(j, j->started, err));
            active[n++] = j->started++;
        }
        RS_TRY(step_batch(j, active, &n, err));
        RS_TRY(print_ready(j, err));
        if (ui_interrupted())
            return rs_fail(err, RS_E_CANCELLED, "cancelled after %d of %d texts",
                           j->printed, j->n);
    }
    return RS_OK;
}

static rs_status open_out(job *j, rs_err *err)
{
    const char *path = j->opts->out;
    if (!path) return RS_OK;
    if (!j->opts->force && rs_os_kind(path) != RS_PATH_NONE)
        return rs_fail(err, RS_E_EXISTS, "%s exists; --force overwrites it", path);
    j->out = fopen(path, "we");
    return j->out ? RS_OK : rs_fail_errno(err, errno, "create %s", path);
}

static rs_status run_job(job *j, rs_err *err)
{
    bool needs_text = j->opts->prompt || j->opts->text.stop.n; /* lines may be ids */
    int parts =
        UI_MODEL_WEIGHTS | (needs_text ? UI_MODEL_TOKENIZER : UI_MODEL_TOKENIZER_IF);
    RS_TRY(ui_model_open(j->common, j->opts->model, parts, j->opts->text.chat_template,
                         &j->model, err));
    RS_TRY(ui_text_params_make(&j->opts->text, j->common, &j->model, &j->params, err));
    RS_TRY(read_prompts(j, err));
    RS_TRY(open_out(j, err));
    rs_status s = write_all(j, err);
    if (s != RS_OK && j->streams) printf("\n");
    return s;
}

static void free_job(job *j)
{
    for (int i = 0; i < j->n; i++) {
        rs_line_free(&j->tasks[i].line);
        rs_generator_free(j->tasks[i].generator);
    }
    free(j->tasks);
    ui_text_params_free(&j->params);
    ui_model_close(&j->model);
}

static int run(ui_common *c, void *opts, int n_args, char **args)
{
    const generate_opts *o = opts;
    rs_err err;
    (void)n_args;
    (void)args;
    if (!o->model) return ui_usage("generate", "--model is missing");
    if ((o->prompt != NULL) == (o->jsonl != NULL))
        return ui_usage("generate", "one of --prompt and --prompts is needed%s",
                        o->prompt ? ", not both" : "");
    if (o->batch < 1 || o->batch > MAX_BATCH)
        return ui_usage("generate", "--batch %" PRId64 " is not from 1 to %d", o->batch,
                        MAX_BATCH);
    if (ui_text_opts_check(&o->text, &err) != RS_OK)
        return ui_usage("generate", "%s", err.msg);
    job j = {.common = c, .opts = o, .to_terminal = isatty(1) != 0};
    j.streams = o->prompt && !c->json;
    ui_progress_begin(&j.progress, c, "generate");
    rs_status s = run_job(&j, &err);
    ui_progress_end(&j.progress, s, &err, NULL);
    if (j.out && fclose(j.out) != 0 && s == RS_OK)
        s = rs_fail_errno(&err, errno, "write %s", o->out);
    free_job(&j);
    return s == RS_OK ? UI_EXIT_OK : ui_fail("generate", &err);
}

const ui_verb ui_verb_generate = {
    .name = "generate",
    .usage = "--model M (--prompt T|--prompts F.jsonl) [--raw] [--max-tokens N] [sampler "
             "flags]",
    .summary = "writes text",
    .details = "One prompt streams to stdout; seed, tokens and speed go to stderr. With "
               "--json, or a\n"
               "file of prompts, results come as lines\n"
               "{\"ids\":[..],\"text\":\"..\",\"stop\":\"eos|length|string\",\"tokens_"
               "per_second\":..,"
               "\"seed\":..} (--json)\nor as blocks of text, in the order of the "
               "prompts. The n-th "
               "prompt has the seed plus n - 1.\nSampler flags have llama.cpp's names "
               "and defaults.",
    .opts = rows,
    .opts_size = sizeof(generate_opts),
    .run = run,
    .defaults = defaults,
};
