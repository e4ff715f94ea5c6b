/* Generation against transformers' greedy texts; batches, ends, changes of weights. */
#include "base/json.h"
#include "model/chat.h"
#include "model/generate.h"
#include "tests/t.h"

typedef struct loaded {
    rs_runtime rt;
    rs_checkpoint *file;
    rs_config *config;
    rs_model *model;
    rs_tokenizer *tokenizer;
} loaded;

static bool load(const char *path, loaded *l)
{
    rs_options o = {.threads = 2};
    *l = (loaded){0};
    bool ok = rs_init(&o, &l->rt, &t_err) == RS_OK;
    ok = ok && rs_checkpoint_open(path, &l->file, &t_err) == RS_OK;
    ok = ok && rs_config_load(l->file, &l->config, &t_err) == RS_OK;
    ok = ok && rs_model_load(&l->rt, l->file, l->config, NULL, NULL, &l->model, &t_err) ==
                   RS_OK;
    ok = ok && rs_tokenizer_load(path, &l->tokenizer, &t_err) == RS_OK;
    if (!ok) printf("  %s\n", t_err.msg);
    return ok;
}

static void unload(loaded *l)
{
    rs_tokenizer_free(l->tokenizer);
    rs_model_free(l->model);
    rs_config_free(l->config);
    rs_checkpoint_close(l->file);
    rs_quit(&l->rt);
}

static rs_generate_params greedy(int64_t max_tokens, const loaded *l)
{
    rs_generate_params p = {.sampler = rs_sampler_defaults(), .max_tokens = max_tokens};
    p.sampler.temperature = 0;
    p.stop_ids = l->config->eos;
    p.n_stop_ids = l->config->n_eos;
    return p;
}

static rs_ids ids_of(const rs_json *list)
{
    rs_ids ids = {0};
    for (const rs_json *v = rs_json_first(list); v; v = rs_json_next(v))
        rs_ids_add(&ids, (int32_t)rs_json_number(v));
    return ids;
}

static rs_generator *start(const loaded *l, const rs_ids *prompt,
                           const rs_generate_params *p)
{
    rs_generator *g = NULL;
    if (rs_generator_new(&l->rt, l->model, l->tokenizer, prompt->at, prompt->n, p, &g,
                         &t_err))
        printf("  %s\n", t_err.msg);
    return g;
}

/* Steps to the end; every token's log-probability into logprobs (may be NULL). */
static bool finish(rs_generator *g, double *logprobs)
{
    rs_buf joined = {0};
    rs_token_event e;
    int n = 0;
    while (rs_generator_stopped(g) == RS_STOP_NONE) {
        if (rs_generator_step(g, &e, &t_err) != RS_OK)
            return printf("  %s\n", t_err.msg), false;
        if (logprobs) logprobs[n++] = e.logprob;
        rs_buf_add(&joined, e.text, e.n_text);
    }
    size_t size;
    const char *text = rs_generator_text(g, &size);
    bool same = joined.len == size && memcmp(rs_buf_str(&joined), text, size) == 0;
    rs_buf_free(&joined);
    return same;
}

static bool new_ids_equal(const rs_generator *g, const rs_ids *want)
{
    int64_t n_prompt, n;
    const int32_t *ids = rs_generator_ids(g, &n_prompt, &n);
    bool same = n - n_prompt == want->n;
    for (int64_t i = 0; same && i < want->n; i++)
        same = ids[n_prompt + i] == want->at[i];
    if (same) return true;
    printf("  %d ids, expected %d; ", (int)(n - n_prompt), (int)want->n);
    for (int64_t i = 0; i < want->n && n_prompt + i < n; i++)
        if (ids[n_prompt + i] != want->at[i]) {
            printf("at %d: %d, expected %d\n", (int)i, (int)ids[n_prompt + i],
                   (int)want->at[i]);
            break;
        }
    return false;
}

/* One chat of the fixture. */
static bool greedy_case_holds(const loaded *l, const rs_json *c)
{
    rs_ids prompt = ids_of(rs_json_get(c, "prompt_ids")),
           want = ids_of(rs_json_get(c, "new_ids"));
    rs_generate_params p = greedy(60, l);
    double logprobs[60];
    rs_generator *g = start(l, &prompt, &p);
    bool ok = g && finish(g, logprobs) && new_ids_equal(g, &want);
    const char *text = ok ? rs_generator_text(g, NULL) : "";
    ok = ok && strcmp(text, rs_json_string(rs_json_get(c, "text"))) == 0;
    bool stopped = rs_json_true(rs_json_get(c, "stopped"));
    ok = ok && rs_generator_stopped(g) == (stopped ? RS_STOP_EOS : RS_STOP_LENGTH);
    const rs_json *v = rs_json_first(rs_json_get(c, "logprob"));
    for (int64_t i = 0; ok && i < want.n; i++, v = rs_json_next(v))
        ok = fabs(logprobs[i] - rs_json_number(v)) <= 3e-4;
    if (!ok) printf("  \"%s\"\n", text);
    rs_generator_free(g);
    rs_ids_free(&prompt);
    rs_ids_free(&want);
    return ok;
}

static const char sparring[] = "recipes/sparring/it";

static void sparring_greedy(void)
{
    loaded l;
    rs_json *doc;
    int good = 0, all = 0;
    T_TRUE(load(sparring, &l));
    T_OK(rs_json_read_file(t_golden("generate/sparring_it_greedy.json"), 1 << 20, &doc,
                           &t_err));
    const rs_json *c = rs_json_first(rs_json_get(doc, "cases"));
    for (; c; c = rs_json_next(c), all++)
        good += greedy_case_holds(&l, c);
    T_EQ(all, 8);
    T_EQ(good, 8);
    rs_json_free(doc);
    unload(&l);
}

/* ---- batches ---- */

enum { N_TEXTS = 16, STEPS = 40 };

typedef struct written {
    int32_t ids[STEPS];
    double logprob[STEPS];
    int n;
    char text[2000];
} written;

static bool prompt_of(const loaded *l, int i, rs_ids *ids)
{
    static const char *const asks[] = {
        "Tell me of a storm.",
        "Name three colours.",
        "Write a poem about a lamp in a window.",
        "Who goes there?",
        "a",
        "Describe the sea in two sentences. Use no commas at all."};
    rs_buf text = {0};
    rs_message m = {"user", asks[i % 6]};
    bool ok =
        rs_chat_render(rs_chat_named("gemma4"), &m, 1, true, &text, &t_err) == RS_OK &&
        rs_tokenize(l->tokenizer, text.data, text.len, false, ids, &t_err) == RS_OK;
    rs_buf_free(&text);
    return ok;
}

/* Writes all texts in groups of `batch`, every one with its own seed and settings. */
static bool write_all(const loaded *l, int batch, written *w)
{
    for (int first = 0; first < N_TEXTS; first += batch) {
        rs_generator *g[N_TEXTS];
        rs_token_event e[N_TEXTS];
        int n = first + batch < N_TEXTS ? batch : N_TEXTS - first;
        for (int i = 0; i < n; i++) {
            rs_ids prompt = {0};
            rs_generate_params p = greedy(5 + (first + i) % 7 * 5, l);
            p.sampler.temperature = (first + i) % 3 * 0.6;
            p.sampler.seed = (uint64_t)(first + i);
            if (!prompt_of(l, first + i, &prompt) || !(g[i] = start(l, &prompt, &p)))
                return false;
            rs_ids_free(&prompt);
        }
        for (bool going = true; going;) {
            going = false;
            if (rs_generator_step_all(g, n, e, &t_err) != RS_OK) return false;
            for (int i = 0; i < n; i++) {
                written *to = &w[first + i];
                if (e[i].id < 0) continue;
                to->ids[to->n] = e[i].id;
                to->logprob[to->n++] = e[i].logprob;
                going |= e[i].stop == RS_STOP_NONE;
            }
        }
        for (int i = 0; i < n; i++) {
            snprintf(w[first + i].text, sizeof w->text, "%s",
                     rs_generator_text(g[i], NULL));
            rs_generator_free(g[i]);
        }
    }
    return true;
}

static void batches(void)
{
    static written one[N_TEXTS], three[N_TEXTS], sixteen[N_TEXTS];
    loaded l;
    T_TRUE(load(sparring, &l));
    T_TRUE(write_all(&l, 1, one));
    T_TRUE(write_all(&l, 3, three));
    T_TRUE(write_all(&l, 16, sixteen));
    T_TRUE(memcmp(one, three, sizeof one) == 0); /* log-probabilities to the last bit */
    T_TRUE(memcmp(one, sixteen, sizeof one) == 0);
    int tokens = 0;
    for (int i = 0; i < N_TEXTS; i++)
        tokens += one[i].n;
    T_TRUE(tokens > 150);
    unload(&l);
}

/* ---- how texts end ---- */

static void ends(void)
{
    loaded l;
    rs_ids prompt = {0};
    T_TRUE(load(sparring, &l));
    T_TRUE(prompt_of(&l, 0, &prompt));
    rs_generate_params p = greedy(300, &l);
    rs_generator *g = start(&l, &prompt, &p);
    T_TRUE(g && finish(g, NULL));
    T_EQ(rs_generator_stopped(g), RS_STOP_EOS);
    int64_t n_prompt, n;
    const int32_t *ids = rs_generator_ids(g, &n_prompt, &n);
    T_EQ(n_prompt, prompt.n);
    T_EQ(ids[n - 1], 9);
    int64_t natural = n - n_prompt;
    rs_token_event e;
    T_FAILS(rs_generator_step(g, &e, &t_err), RS_E_INVALID, "the text has ended (eos)");

    /* a stop string that the greedy text contains */
    char text[2000];
    snprintf(text, sizeof text, "%s", rs_generator_text(g, NULL));
    T_TRUE(strlen(text) > 40);
    char third[6] = {0};
    memcpy(third, text + 20, 5);
    size_t at = (size_t)(strstr(text, third) - text);
    const char *stop[] = {"never in there", third};
    p.stop_strings = stop;
    p.n_stop_strings = 2;
    rs_generator *s = start(&l, &prompt, &p);
    T_TRUE(s && finish(s, NULL));
    T_EQ(rs_generator_stopped(s), RS_STOP_STRING);
    size_t size;
    T_TRUE(memcmp(rs_generator_text(s, &size), text, at) == 0);
    T_EQ(size, at);
    rs_generator_free(s);
    rs_generator_free(g);

    p = greedy(natural + 20, &l);
    p.min_tokens = natural + 5;
    g = start(&l, &prompt, &p);
    T_TRUE(g && finish(g, NULL));
    ids = rs_generator_ids(g, &n_prompt, &n);
    T_TRUE(n - n_prompt > natural + 5);
    for (int64_t i = n_prompt; i < n_prompt + p.min_tokens; i++)
        T_TRUE(ids[i] != 9 && ids[i] != 1);
    rs_generator_free(g);

    p = greedy(natural + 20, &l);
    p.ignore_eos = true;
    g = start(&l, &prompt, &p);
    T_TRUE(g && finish(g, NULL));
    rs_generator_ids(g, &n_prompt, &n);
    T_EQ(n - n_prompt, natural + 20);
    T_EQ(rs_generator_stopped(g), RS_STOP_LENGTH);
    rs_generator_free(g);
    rs_ids_free(&prompt);
    unload(&l);
}

/* As many tokens as the model has positions for, and not one more. */
static void full(void)
{
    loaded l;
    T_TRUE(load(sparring, &l));
    int64_t most = l.config->max_positions;
    rs_ids prompt = {0};
    rs_ids_add(&prompt, 2);
    while (prompt.n < most - 3)
        rs_ids_add(&prompt, 390);
    rs_generate_params p = greedy(0, &l);
    p.ignore_eos = true;
    rs_generator *g = start(&l, &prompt, &p);
    T_TRUE(g && finish(g, NULL));
    int64_t n;
    rs_generator_ids(g, NULL, &n);
    T_EQ(n, most);
    rs_generator_free(g);
    rs_ids_free(&prompt);
    unload(&l);
}

/* ---- weights that change ---- */

/* Doubles the bf16 values of every third row (adds one to the exponent). Not of all rows: a
 * norm behind the matrix would take that out again. */
static void double_rows(const rs_matrix *m)
{
    uint16_t *w = (uint16_t *)m->data;
    for (int64_t i = 0; i < m->rows * m->cols; i++)
        if (i / m->cols % 3 == 0 && (w[i] & 0x7f80)) w[i] = (uint16_t)(w[i] + 0x80);
}

static bool cancel(void *ctx, const rs_progress *p)
{
    (void)ctx;
    (void)p;
    return false;
}

/* Eight tokens, a change in layer 3, eight more: these must be what a new text gives that
 * begins with all tokens so far. abandoned: the first recomputation is given up. */
static bool change_holds(loaded *l, bool kv, bool abandoned, bool prefilled)
{
    rs_ids prompt = {0}, all = {0};
    rs_generate_params p = greedy(16, l);
    p.keep_inputs = true;
    p.ignore_eos = true;
    rs_token_event e, f;
    if (!prompt_of(l, 2, &prompt)) return false;
    rs_generator *g = start(l, &prompt, &p);
    bool ok = g != NULL;
    for (int i = 0; ok && i < 8; i++)
        ok = rs_generator_step(g, &e, &t_err) == RS_OK;
    if (prefilled) ok = ok && rs_generator_prefill(g, NULL, NULL, &t_err) == RS_OK;
    double_rows(kv ? &l->model->layers[3].k : &l->model->layers[3].gate);
    if (abandoned)
        ok = ok && rs_generator_weights_changed(g, 3, kv, cancel, NULL, &t_err) ==
                       RS_E_CANCELLED;
    else
        ok = ok && rs_generator_weights_changed(g, 3, kv, NULL, NULL, &t_err) == RS_OK;
    int64_t n_prompt, n;
    const int32_t *ids = ok ? rs_generator_ids(g, &n_prompt, &n) : NULL;
    for (int64_t i = 0; ok && i < n; i++)
        ok = rs_ids_add(&all, ids[i]);
    rs_generator *fresh = ok ? start(l, &all, &p) : NULL;
    ok = ok && fresh;
    for (int i = 0; ok && i < 8; i++) {
        ok = rs_generator_step(g, &e, &t_err) == RS_OK &&
             rs_generator_step(fresh, &f, &t_err) == RS_OK && e.id == f.id &&
             fabs(e.logprob - f.logprob) < 3e-4;
        if (!ok)
            printf("  step %d: %d %.9g, fresh %d %.9g\n", i, (int)e.id, e.logprob,
                   (int)f.id, f.logprob);
    }
    rs_generator_free(g);
    rs_generator_free(fresh);
    rs_ids_free(&prompt);
    rs_ids_free(&all);
    return ok;
}

static void weight_changes(void)
{
    for (int i = 0; i < 8; i++) {
        loaded l;
        T_TRUE(load(sparring, &l));
        if (!change_holds(&l, i & 1, i & 2, i & 4)) T_FAIL("case %d: %s", i, t_err.msg);
        unload(&l);
    }
}

static void refused(void)
{
    loaded l;
    rs_generator *g;
    T_TRUE(load(sparring, &l));
    rs_generate_params p = greedy(5, &l);
    const int32_t ids[] = {2, 4096};
    T_FAILS(rs_generator_new(&l.rt, l.model, l.tokenizer, ids, 0, &p, &g, &t_err),
            RS_E_INVALID, "the prompt has no tokens");
    T_FAILS(rs_generator_new(&l.rt, l.model, l.tokenizer, ids, 2, &p, &g, &t_err),
            RS_E_INVALID, "token 1 has the id 4096, the model has 4096");
    p.max_tokens = -1;
    T_FAILS(rs_generator_new(&l.rt, l.model, l.tokenizer, ids, 1, &p, &g, &t_err),
            RS_E_INVALID, "negative");
    p = greedy(5, &l);
    p.sampler.top_p = 2;
    T_FAILS(rs_generator_new(&l.rt, l.model, l.tokenizer, ids, 1, &p, &g, &t_err),
            RS_E_INVALID, "top_p is 2");
    p = greedy(5, &l);
    int32_t *many = calloc((size_t)l.config->max_positions, sizeof *many);
    T_FAILS(rs_generator_new(&l.rt, l.model, l.tokenizer, many, l.config->max_positions,
                             &p, &g, &t_err),
            RS_E_INVALID, "the model takes 4096 with the answer");
    free(many);
    T_TRUE(g == NULL);
    rs_ids prompt = {0};
    T_TRUE(prompt_of(&l, 0, &prompt));
    g = start(&l, &prompt, &p);
    T_FAILS(rs_generator_prefill(g, cancel, NULL, &t_err), RS_E_CANCELLED, "");
    T_OK(rs_generator_prefill(g, NULL, NULL, &t_err));
    T_TRUE(finish(g, NULL));
    rs_generator_free(g);
    rs_ids_free(&prompt);
    unload(&l);
}

/* ---- a published model ---- */

/* The fixture's texts show control tokens (after <eos> the model goes on here). */
static bool texts_hold(const loaded *l, const rs_generator *g, const char *want)
{
    rs_buf all = {0}, skipped = {0};
    int64_t from, n;
    const int32_t *ids = rs_generator_ids(g, &from, &n);
    bool ok =
        rs_detokenize(l->tokenizer, ids + from, n - from, false, &all, &t_err) == RS_OK &&
        rs_detokenize(l->tokenizer, ids + from, n - from, true, &skipped, &t_err) ==
            RS_OK;
    ok = ok && strcmp(rs_buf_str(&all), want) == 0;
    ok = ok && strcmp(rs_buf_str(&skipped), rs_generator_text(g, NULL)) == 0;
    rs_buf_free(&all);
    rs_buf_free(&skipped);
    return ok;
}

static bool real_case_holds(const loaded *l, const rs_json *c)
{
    const rs_json *want = rs_json_get(c, "greedy");
    rs_ids prompt = ids_of(rs_json_get(c, "token_ids"));
    rs_ids next = ids_of(rs_json_get(want, "token_ids"));
    rs_generate_params p = greedy(next.n, l);
    p.n_stop_ids = 0;
    rs_generator *g = start(l, &prompt, &p);
    bool ok = g && finish(g, NULL) && new_ids_equal(g, &next) &&
              texts_hold(l, g, rs_json_string(rs_json_get(want, "text")));
    if (!ok) printf("  in prompt \"%s\"\n", rs_json_string(rs_json_get(c, "id")));
    rs_generator_free(g);
    rs_ids_free(&prompt);
    rs_ids_free(&next);
    return ok;
}

static void gemma_270m(void)
{
    const char *gguf = t_gemma270();
    const char *fixture = t_shared("fixtures/gemma3-270m/prompts.json");
    if (!gguf || !fixture) T_NO_GEMMA270();
    loaded l;
    rs_json *doc;
    int good = 0, all = 0;
    T_OK(rs_json_read_file(fixture, 1 << 20, &doc, &t_err));
    T_TRUE(load(gguf, &l));
    for (const rs_json *c = rs_json_first(doc); c; c = rs_json_next(c), all++)
        good += real_case_holds(&l, c);
    T_EQ(all, 6);
    T_EQ(good, 6);
    rs_json_free(doc);
    unload(&l);
}

T_MAIN(T_TEST(sparring_greedy), T_TEST(batches), T_TEST(ends), T_TEST(full),
       T_TEST(weight_changes), T_TEST(refused), T_TEST(gemma_270m))
