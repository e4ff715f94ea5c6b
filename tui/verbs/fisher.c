/* ringside fisher: which weights a model's behaviour on data depends on. */
#include "base/limits.h"
#include "base/os.h"
#include "merge/selector.h"
#include "tui/verbs/contrast.h"
#include "tui/verbs/learn_data.h"
#include "tui/verbs/products.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct fisher_opts {
    const char *model, *data, *jsonl, *out, *kind, *labels, *tensors, *dtype, *chat_template;
    const char *other, *contrast; /* the second model; S+ (S- is the word behind it) */
    const char *instead;          /* system prompt of every conversation, or NULL */
    const char *made_from;        /* metadata of what prepare makes, or NULL */
    int64_t length, sequences, random, checkpoint, seed;
    int64_t random_tokens; /* seed of the ids of --random; -1: as of everything else */
    bool per_token, raw, force, resume;
} fisher_opts;

static void defaults(void *options)
{
    fisher_opts *o = options;
    o->length = 512;
    o->kind = "sequence";
    o->labels = "data";
    o->dtype = "float32";
    o->checkpoint = 30;
    o->random_tokens = -1;
}

// clang-format off
static const ui_opt opts[] = {
    {"--model", UI_OPT_STRING, "M", "the model: a folder, a .gguf or org/name", offsetof(fisher_opts, model)},
    {"--data", UI_OPT_STRING, "F", "a plain text, or JSON lines in a file .jsonl", offsetof(fisher_opts, data)},
    {"--jsonl", UI_OPT_STRING, "F", "JSON lines: text, prompt, messages or ids", offsetof(fisher_opts, jsonl)},
    {"--random", UI_OPT_INT, "N", "no data: N sequences of random tokens", offsetof(fisher_opts, random)},
    {"--random-tokens", UI_OPT_INT, "SEED", "the same, --sequences (16) of them, ids by this seed", offsetof(fisher_opts, random_tokens)},
    {"--other", UI_OPT_STRING, "B", "a second model, for --contrast", offsetof(fisher_opts, other)},
    {"--contrast", UI_OPT_STRING, "PLUS MINUS", "two files of system prompts: a mask, which model cares", offsetof(fisher_opts, contrast)},
    {"--out", UI_OPT_STRING, "F", "the safetensors file", offsetof(fisher_opts, out)},
    {"--kind", UI_OPT_STRING, "KIND", "sequence (exact, default) or position (cheap)", offsetof(fisher_opts, kind)},
    {"--labels", UI_OPT_STRING, "FROM", "data (default), or model: drawn from it, by --seed", offsetof(fisher_opts, labels)},
    {"--length", UI_OPT_INT, "T", "tokens of a window or line, at most (512)", offsetof(fisher_opts, length)},
    {"--sequences", UI_OPT_INT, "N", "take the first N", offsetof(fisher_opts, sequences)},
    {"--per-token", UI_OPT_FLAG, NULL, "divide by counted tokens, not by sequences", offsetof(fisher_opts, per_token)},
    {"--tensors", UI_OPT_STRING, "SEL", "only tensors that a selector takes", offsetof(fisher_opts, tensors)},
    {"--dtype", UI_OPT_STRING, "TYPE", "float32 (default) or bfloat16", offsetof(fisher_opts, dtype)},
    {"--raw", UI_OPT_FLAG, NULL, "prompts as plain text, no chat format", offsetof(fisher_opts, raw)},
    {"--chat-template", UI_OPT_STRING, "NAME", "chat format instead of the model's own", offsetof(fisher_opts, chat_template)},
    {"--checkpoint", UI_OPT_INT, "S", "seconds between the states that --resume begins from (30)", offsetof(fisher_opts, checkpoint)},
    {"--resume", UI_OPT_FLAG, NULL, "go on with an interrupted run of the same work", offsetof(fisher_opts, resume)},
    {"--force", UI_OPT_FLAG, NULL, "replace an existing file", offsetof(fisher_opts, force)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};
// clang-format on

typedef struct subject {
    ui_model m; /* tokenizer and chat format */
    rs_checkpoint *file;
    rs_config *config;
    ui_examples data;
    rs_arena arena;
    const rs_selector *selector;
} subject;

static int check_contrast(const fisher_opts *o, int n_args, char **args)
{
    if (!o->contrast && n_args > 0)
        return ui_usage("fisher", "one word too many: %s", args[0]);
    if (!o->contrast && !o->other) return UI_EXIT_OK;
    if (!o->contrast || !o->other || n_args != 1)
        return ui_usage("fisher", "a contrast is --model A --other B --contrast PLUS MINUS");
    if (!o->jsonl || o->raw)
        return ui_usage("fisher", "--contrast needs conversations: --jsonl F, not --raw");
    return UI_EXIT_OK;
}

static int check_words(const fisher_opts *o)
{
    int sources = (o->data != NULL) + (o->jsonl != NULL) + (o->random > 0);
    if (!o->model || !o->out)
        return ui_usage("fisher", "--model M and --out F are needed");
    if (sources != 1)
        return ui_usage("fisher", "give one of --data F, --jsonl F and --random N");
    if (o->checkpoint < 0) return ui_usage("fisher", "--checkpoint is not below 0");
    return ui_check_make_opts("fisher", RS_MAKE_FISHER, opts, o);
}

static bool wants(void *ctx, const char *name, int layer)
{
    const subject *s = ctx;
    (void)layer;
    rs_role role = rs_role_of(s->config, name);
    return rs_selector_matches(s->selector, s->config, &role, name);
}

static rs_status read_data(const fisher_opts *o, subject *s, rs_err *err)
{
    if (o->random > 0)
        return ui_examples_random(
            s->config, o->random, o->length,
            (uint64_t)(o->random_tokens < 0 ? o->seed : o->random_tokens), &s->data, err);
    const char *path = o->data ? o->data : o->jsonl;
    return ui_examples_read(s->config, s->m.tokenizer, s->m.chat, path, o->jsonl != NULL,
                            o->raw, o->instead, o->length, o->sequences, &s->data, err);
}

static rs_status open_subject(ui_common *c, const fisher_opts *o, subject *s, rs_err *err)
{
    int parts = UI_MODEL_FILES | (o->random > 0 ? 0 : UI_MODEL_TOKENIZER);
    RS_TRY(ui_model_open(c, o->model, parts, o->chat_template, &s->m, err));
    RS_TRY(rs_checkpoint_open(s->m.path, &s->file, err));
    RS_TRY(rs_config_load(s->file, &s->config, err));
    if (o->length > s->config->max_positions)
        return rs_fail(err, RS_E_INVALID, "--length %" PRId64 ": the model takes %d tokens",
                       o->length, s->config->max_positions);
    if (o->tensors)
        RS_TRY(rs_selector_parse(&s->arena, o->tensors, &s->selector, err));
    return read_data(o, s, err);
}

static void close_subject(subject *s)
{
    ui_examples_free(&s->data);
    rs_arena_free(&s->arena);
    rs_config_free(s->config);
    rs_checkpoint_close(s->file);
    ui_model_close(&s->m);
}

/* An event for every layer: what a heatmap fills with. */
static void tell_layer(void *ctx, int layer, const rs_fisher_mean *m, int n)
{
    rs_buf b = {0};
    rs_buf_printf(&b, "{\"event\":\"fisher\",\"layer\":%d,\"tensors\":[", layer);
    for (int i = 0; i < n; i++) {
        rs_buf_puts(&b, i ? ",{\"name\":" : "{\"name\":");
        rs_buf_json(&b, m[i].name, strlen(m[i].name));
        rs_buf_puts(&b, ",\"mean\":");
        rs_buf_json_double(&b, m[i].mean);
        rs_buf_puts(&b, ",\"max\":");
        rs_buf_json_double(&b, m[i].max);
        rs_buf_putc(&b, '}');
    }
    rs_buf_puts(&b, "]}\n");
    ui_progress_event(ctx, &b);
    rs_buf_free(&b);
}

static rs_status work(ui_common *c, const fisher_opts *o, subject *s, ui_progress *show,
                      rs_fisher_result *r, rs_err *err)
{
    char hash[33], identity[33], seed[24];
    RS_TRY(ui_content_hash(c, s->file, show, hash, err));
    RS_TRY(ui_identity(c, s->m.path, UI_ID_CONFIG, show, identity, err));
    snprintf(seed, sizeof seed, "%" PRId64, o->seed);
    rs_string_pair pairs[] = {{"model_hash", hash},
                              {"model_identity", identity}, /* with its configuration */
                              {"data_hash", s->data.hash},
                              {"model_type", s->config->model_type},
                              {"seed", seed},
                              {UI_MADE_FROM, o->made_from}};
    rs_fisher_options f = {
        .kind = strcmp(o->kind, "position") == 0 ? RS_FISHER_POSITION : RS_FISHER_SEQUENCE,
        .draws = strcmp(o->labels, "model") == 0,
        .seed = (uint64_t)o->seed,
        .per_token = o->per_token,
        .bf16 = strcmp(o->dtype, "bfloat16") == 0,
        .wants = s->selector ? wants : NULL,
        .wants_ctx = s,
        .metadata = pairs,
        .n_metadata = o->made_from ? 6 : 5,
        .out = o->out,
        .force = o->force,
        .resume = o->resume,
        .checkpoint_seconds = (double)o->checkpoint,
        .now = ui_now,
        .progress = ui_progress_step,
        .progress_ctx = show,
        .told = c->events_fd >= 0 ? tell_layer : NULL,
        .told_ctx = show};
    return rs_fisher_run(&c->rt, s->file, s->config, s->data.at, s->data.n, &f, r, err);
}

rs_status ui_fisher_make(ui_common *c, const rs_make *m, ui_product *p,
                         ui_progress *show, rs_err *err)
{
    subject s = {0};
    rs_fisher_result r = {0};
    fisher_opts o = {.model = p->model[0],
                     .data = p->instead ? NULL : p->data[0],
                     .jsonl = p->instead ? p->data[0] : NULL,
                     .instead = p->instead,
                     .out = p->out,
                     .kind = m->kind,
                     .labels = m->labels,
                     .tensors = m->tensors,
                     .dtype = m->dtype,
                     .chat_template = m->chat_template,
                     .made_from = p->made_from,
                     .length = m->length,
                     .sequences = m->sequences,
                     .random = m->random,
                     .random_tokens = -1,
                     .checkpoint = p->checkpoint,
                     .seed = m->seed,
                     .per_token = m->per_token,
                     .raw = m->raw,
                     .force = p->force,
                     .resume = p->resume};
    rs_status st = open_subject(c, &o, &s, err);
    if (st == RS_OK) st = work(c, &o, &s, show, &r, err);
    p->resumed = st == RS_OK && r.resumed_at >= 0;
    p->useless = r.useless;
    close_subject(&s);
    return st;
}

static void result_json(const fisher_opts *o, const subject *s, const rs_fisher_result *r,
                        double seconds, rs_buf *b)
{
    rs_buf_puts(b, "{\"out\":");
    rs_buf_json(b, o->out, strlen(o->out));
    rs_buf_printf(b, ",\"sequences\":%d,\"tokens\":%" PRId64 ",\"loss\":", s->data.n,
                  r->tokens);
    rs_buf_json_double(b, r->loss);
    rs_buf_printf(b, ",\"tensors\":%" PRId64 ",\"spilled\":%" PRIu64, r->n_tensors,
                  r->spilled);
    if (r->resumed_at >= 0) rs_buf_printf(b, ",\"resumed_at\":%d", r->resumed_at);
    rs_buf_printf(b, ",\"peak_bytes\":%" PRIu64 ",\"seconds\":%.3f}", rs_os_peak_memory(),
                  seconds);
}

static void say(const ui_common *c, const fisher_opts *o, const subject *s,
                const rs_fisher_result *r, double seconds, const rs_buf *json)
{
    rs_buf b = {0};
    if (c->json) {
        rs_buf_printf(&b, "%s\n", rs_buf_str(json));
    } else if (!c->quiet) {
        ui_put_clean(&b, o->out);
        rs_buf_printf(&b,
                      ": %" PRId64 " tensors from %d sequences, %" PRId64
                      " tokens at %.4f nat, in %.1f s and %.1f MB",
                      r->n_tensors, s->data.n, r->tokens, r->loss, seconds,
                      (double)rs_os_peak_memory() / 1e6);
        if (r->resumed_at >= 0)
            rs_buf_printf(&b, ", resumed below layer %d", r->resumed_at);
        rs_buf_puts(&b, "\n");
    }
    ui_print(&b);
    rs_buf_free(&b);
}

/* --- contrast --- */

static void contrast_json(const fisher_opts *o, const rs_contrast_result *r, double seconds,
                          rs_buf *b)
{
    rs_buf_puts(b, "{\"out\":");
    rs_buf_json(b, o->out, strlen(o->out));
    rs_buf_printf(b, ",\"tensors\":%d,\"median\":", r->n_tensors);
    rs_buf_json_double(b, r->median);
    rs_buf_puts(b, ",\"undecided\":");
    rs_buf_json_double(b, r->undecided);
    rs_buf_puts(b, ",\"mean\":");
    rs_buf_json_double(b, r->mean);
    rs_buf_printf(b, ",\"seconds\":%.3f}", seconds);
}

static void say_contrast(const ui_common *c, const fisher_opts *o,
                         const rs_contrast_result *r, double seconds, const rs_buf *json)
{
    rs_buf b = {0};
    if (c->json) {
        rs_buf_printf(&b, "%s\n", rs_buf_str(json));
    } else if (!c->quiet) {
        ui_put_clean(&b, o->out);
        rs_buf_printf(&b,
                      ": %d tensors, r is %.3f on average and 1/2 for want of a say in %.1f "
                      "%%, in %.1f s\n",
                      r->n_tensors, r->mean, 100 * r->undecided, seconds);
    }
    ui_print(&b);
    rs_buf_free(&b);
}

static int run_contrast(ui_common *c, const fisher_opts *o, const char *minus)
{
    rs_err err;
    ui_progress show;
    rs_contrast_result r;
    rs_buf json = {0};
    rs_make make = {.kind = o->kind,
                    .labels = o->labels,
                    .tensors = o->tensors,
                    .dtype = o->dtype,
                    .chat_template = o->chat_template,
                    .length = o->length,
                    .sequences = o->sequences,
                    .seed = o->seed,
                    .per_token = o->per_token};
    ui_contrast q = {.model = {o->model, o->other},
                     .prompt = {o->contrast, minus},
                     .data = o->jsonl,
                     .out = o->out,
                     .make = &make,
                     .checkpoint = o->checkpoint,
                     .force = o->force,
                     .resume = o->resume};
    ui_progress_begin(&show, c, "fisher");
    rs_status st = ui_contrast_make(c, &q, &show, &r, &err);
    double seconds = ui_now() - show.started;
    if (st == RS_OK) contrast_json(o, &r, seconds, &json);
    ui_progress_end(&show, st, &err, rs_buf_str(&json));
    if (st == RS_OK) say_contrast(c, o, &r, seconds, &json);
    rs_buf_free(&json);
    return st == RS_OK ? UI_EXIT_OK : ui_fail("fisher", &err);
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    fisher_opts *o = options;
    o->seed = c->seed;
    if (o->random_tokens >= 0 && o->random == 0)
        o->random = o->sequences > 0 ? o->sequences : 16;
    int wrong = check_words(o);
    if (!wrong) wrong = check_contrast(o, n_args, args);
    if (wrong) return wrong;
    if (o->contrast) return run_contrast(c, o, args[0]);
    subject s = {0};
    rs_err err;
    ui_progress show;
    rs_fisher_result r = {0};
    rs_buf json = {0};
    ui_progress_begin(&show, c, "fisher");
    rs_status st = open_subject(c, o, &s, &err);
    if (st == RS_OK) st = work(c, o, &s, &show, &r, &err);
    double seconds = ui_now() - show.started;
    if (st == RS_OK) result_json(o, &s, &r, seconds, &json);
    ui_progress_end(&show, st, &err, rs_buf_str(&json));
    if (st == RS_OK) say(c, o, &s, &r, seconds, &json);
    rs_buf_free(&json);
    close_subject(&s);
    return st == RS_OK ? UI_EXIT_OK : ui_fail("fisher", &err);
}

const ui_verb ui_verb_fisher = {
    .name = "fisher",
    .usage = "--model M (--data F | --jsonl F | --random N) --out F [--kind KIND], or "
             "--model A --other B --contrast PLUS MINUS --jsonl F --out F",
    .summary = "diagonal Fisher information: which weights behaviour on data depends on",
    .details =
        "Writes a safetensors file with the model's tensor names: the mean over sequences "
        "of the squared gradient of a sequence's loss (kind sequence), or of the squares "
        "taken position by position (kind position, cheaper, positions as independent). "
        "Of conversations only what the model says counts. Layers are read one at a time, "
        "and what does not fit into --memory goes to the disk beside the result. An "
        "interrupted run leaves F.partial; --resume goes on from there and gives the same "
        "bytes. A recipe's measures take the file: {\"fisher\": F}. --random needs no data: "
        "sequences of --length random ids, by --seed, or by --random-tokens SEED. --contrast PLUS.txt MINUS.txt makes a "
        "mask instead, float32 numbers from 0 to 1 under the model's names: how much of each "
        "weight to take from --model rather than from --other, by which of them the first "
        "system prompt moves more than the second does in the conversations of --jsonl, "
        "whose own system prompts are left out. It takes four such runs, kept in F.runs "
        "until the mask is whole.",
    .max_args = 1,
    .opts = opts,
    .opts_size = sizeof(fisher_opts),
    .defaults = defaults,
    .run = run,
};
