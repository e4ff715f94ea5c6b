/* The engine process and its protocol: this program is both ends. */
#include "base/rng.h"
#include "core/live/live.h"
#include "model/jsonl.h"
#include "tests/t.h"
#include "tui/app/engine.h"
#include "tui/app/engine_internal.h"
#include "tui/app/engine_server.h"
#include "tui/app/look.h"
#include "tui/app/mem.h"
#include "tui/verbs/verbs.h"

#include <poll.h>
#include <signal.h>

static const char RECIPE[] = "tests/golden/demo/luchador-miniature.json";
static const char PROMPT[] = "{\"prompt\":\"Tell me about the sea.\"}";
static const char GREEDY[] = "{\"temperature\":0,\"max_tokens\":40,\"ignore_eos\":true}";

/* --- protocol --- */

static ui_engine_event an_event(const rs_tensor_sums *sums)
{
    return (ui_engine_event){.what = UI_ENGINE_SUMS, .slot = 2, .serial = 1u << 31,
                             .run = UINT64_C(1) << 40, .done = -1, .total = 7, .index = 3,
                             .id = -1, .logprob = -0.25, .tokens_per_second = 61,
                             .text = "a\0b", .n_text = 3, .sums = sums, .n_sums = 2,
                             .last = true};
}

static void events_come_back_as_they_were(void)
{
    rs_tensor_sums sums[2] = {{.i_tensor = 4, .gram[1][1] = 0.5}, {.i_tensor = 5}};
    ui_engine_event e = an_event(sums), back;
    rs_buf b = {0}, scratch = {0};
    ui_event_encode(&e, &b);
    T_TRUE(ui_event_decode(b.data + 4, b.len - 4, &scratch, &back));
    T_TRUE(back.what == e.what && back.slot == 2 && back.serial == e.serial);
    T_TRUE(back.run == e.run && back.done == -1 && back.id == -1 && back.last);
    T_TRUE(back.n_text == 3 && memcmp(back.text, "a\0b", 3) == 0);
    T_TRUE(back.n_sums == 2 && memcmp(back.sums, sums, sizeof sums) == 0);
    for (size_t n = 0; n < b.len - 4; n++)
        T_TRUE(!ui_event_decode(b.data + 4, n, &scratch, &back));
    rs_buf_free(&b);
    rs_buf_free(&scratch);
}

static void commands_come_back_as_they_were(void)
{
    ui_engine_command c = {.kind = UI_CMD_GENERATE, .slot = 1, .run = 9, .keep = true,
                           .prompt = PROMPT, .sampler = GREEDY, .prior = "\1\0\0\0\2\0\0\0",
                           .n_prior = 2},
                      back;
    rs_buf b = {0};
    ui_command_encode(&c, &b);
    T_TRUE(ui_command_decode(b.data + 4, b.len - 4, &back));
    T_STR(back.prompt, PROMPT);
    T_TRUE(back.keep && !back.fixed && back.stage == NULL && back.n_prior == 2);
    T_EQ(ui_prior_id(&back, 1), 2);
    for (size_t n = 0; n < b.len - 4; n++) T_TRUE(!ui_command_decode(b.data + 4, n, &back));
    rs_buf_free(&b);
}

/* Whatever comes, decoding ends and stays inside the frame (under ASan). */
static void broken_frames_are_refused(void)
{
    rs_tensor_sums sums[2] = {{.i_tensor = 4}};
    ui_engine_event e = an_event(sums), back;
    ui_engine_command c;
    rs_buf b = {0}, scratch = {0};
    rs_rng rng = rs_rng_stream(3, 0);
    ui_event_encode(&e, &b);
    for (int i = 0; i < 20000; i++) {
        size_t n = b.len - 4;
        char *copy = malloc(n);
        memcpy(copy, b.data + 4, n);
        for (int k = 0; k < 3; k++)
            copy[rs_rng_next(&rng) % n] = (char)rs_rng_next(&rng);
        (void)ui_event_decode(copy, n, &scratch, &back);
        (void)ui_command_decode(copy, n, &c);
        free(copy);
    }
    rs_buf_free(&b);
    rs_buf_free(&scratch);
}

static void the_sampler_is_checked(void)
{
    ui_sampling s;
    T_OK(ui_sampling_parse("{\"temperature\":0.5,\"top_k\":3,\"stop\":[\"x\",\"yz\"]}", &s, &t_err));
    T_EQ(s.params.sampler.top_k, 3);
    T_EQ(s.params.n_stop_strings, 2);
    T_STR(s.params.stop_strings[1], "yz");
    ui_sampling_free(&s);
    T_FAILS(ui_sampling_parse("{\"temprature\":1}", &s, &t_err), RS_E_INVALID, "temprature");
    T_FAILS(ui_sampling_parse("{\"top_k\":0.5}", &s, &t_err), RS_E_FORMAT, "top_k");
}

/* --- a client that keeps what it hears --- */

typedef struct heard {
    ui_engine *e;
    int ready, starts, restarts, stops, deaths, errors, cross;
    uint64_t ready_serial, sums_serial;
    int32_t ids[UI_ENGINE_SLOTS][512];
    int n[UI_ENGINE_SLOTS];
    rs_tensor_sums sums[256];
    char note[128], died[256], error[512];
    bool cross_last;
    double cross_sum;
    int looks, failed_looks;
    uint64_t look_key;
    int look_what;
    rs_buf look; /* the newest one's bytes, or its sentence */
} heard;

static void take_event(void *ctx, const ui_engine_event *v)
{
    heard *h = ctx;
    switch (v->what) {
    case UI_ENGINE_READY:
        h->ready++;
        h->ready_serial = v->serial;
        break;
    case UI_ENGINE_SUMS:
        for (int i = 0; i < v->n_sums; i++) h->sums[v->sums[i].i_tensor] = v->sums[i];
        if (v->last) h->sums_serial = v->serial;
        break;
    case UI_ENGINE_START:
        h->starts++;
        h->restarts += v->replaced;
        h->n[v->slot] = (int)v->index;
        snprintf(h->note, sizeof h->note, "%.*s", (int)v->n_text, v->text);
        break;
    case UI_ENGINE_TOKEN:
        if (v->index == h->n[v->slot]) h->ids[v->slot][h->n[v->slot]++] = v->id;
        break;
    case UI_ENGINE_STOP: h->stops++; break;
    case UI_ENGINE_DIED:
        h->deaths++;
        snprintf(h->died, sizeof h->died, "%.*s", (int)v->n_text, v->text);
        break;
    case UI_ENGINE_ERROR:
        h->errors++;
        snprintf(h->error, sizeof h->error, "%.*s", (int)v->n_text, v->text);
        break;
    case UI_ENGINE_CROSS:
        h->cross++;
        h->cross_sum += v->logprob;
        h->cross_last |= v->last;
        break;
    case UI_ENGINE_LOOK:
        h->looks++;
        h->failed_looks += v->last;
        h->look_key = v->run;
        h->look_what = v->id;
        rs_buf_reset(&h->look);
        rs_buf_add(&h->look, v->text, v->n_text);
        break;
    default: break;
    }
}

static void turn(heard *h)
{
    struct pollfd p = {ui_engine_fd(h->e), (short)(POLLIN | (ui_engine_writes(h->e) ? POLLOUT : 0)), 0};
    (void)poll(&p, 1, 50);
    ui_engine_turn(h->e, ui_now(), take_event, h);
}

#define UNTIL(h, what)                                                                   \
    do {                                                                                 \
        double t_until = ui_now() + 60;                                                  \
        while (!(what) && ui_now() < t_until) turn(h);                                   \
        if (!(what)) T_FAIL("%s did not come (%s)", #what, (h)->error);                  \
    } while (0)

static heard *listen_to(uint64_t memory)
{
    ui_engine_options o = {"/proc/self/exe", 2, memory, NULL, 0};
    heard *h = ui_alloc(1, sizeof *h);
    h->e = ui_engine_new(&o);
    return h;
}

static void part(heard *h)
{
    ui_engine_free(h->e);
    rs_buf_free(&h->look);
    free(h);
}

static char *recipe_text(double lambda)
{
    rs_recipe *r;
    rs_buf b = {0};
    if (rs_recipe_load(RECIPE, &r, &t_err) != RS_OK) return NULL;
    if (lambda > 0) rs_recipe_fuel(r)->dampen.lambda = lambda;
    rs_recipe_text(r, r->folder, &b);
    rs_recipe_free(r);
    return b.data;
}

static void follow(heard *h, int slot, uint64_t serial, double lambda)
{
    char folder[] = "tests/golden/demo";
    ui_effect fx = {.kind = UI_FX_FOLLOW, .slot = slot, .serial = serial,
                    .text = recipe_text(lambda), .path = folder};
    ui_engine_effect(h->e, &fx, ui_now());
    free(fx.text);
}

static void ask(heard *h, ui_effect_kind kind, int slot, uint64_t run, bool keep, bool fixed)
{
    char prompt[64], sampler[80];
    strcpy(prompt, PROMPT);
    strcpy(sampler, GREEDY);
    ui_effect fx = {.kind = kind, .slot = slot, .run = run, .keep = keep, .value = fixed,
                    .full = true, .prompt = prompt, .sampler = sampler};
    ui_engine_effect(h->e, &fx, ui_now());
}

/* --- single tensors --- */

static void look_at(heard *h, int i, ui_look_what what, uint64_t key, double lambda)
{
    char folder[] = "tests/golden/demo";
    ui_effect fx = {.kind = UI_FX_LOOK, .serial = (uint64_t)i, .value = what, .run = key,
                    .text = lambda < 0 ? NULL : recipe_text(lambda), .path = folder};
    ui_engine_effect(h->e, &fx, ui_now());
    free(fx.text);
}

/* The mean of each tensor of a file, in its order. */
static void check_means(heard *h)
{
    char path[] = "tests/golden/subspace/sparring.safetensors", none[] = "none.safetensors";
    ui_effect fx = {.kind = UI_FX_LOOK, .value = UI_LOOK_MEANS, .run = 9, .text = path};
    int looks = h->looks;
    rs_checkpoint *f;
    ui_engine_effect(h->e, &fx, ui_now());
    UNTIL(h, h->looks == looks + 1);
    T_OK(rs_checkpoint_open(path, &f, &t_err));
    T_EQ(h->look.len, (size_t)rs_checkpoint_count(f) * sizeof(double));
    for (int i = 0; i < rs_checkpoint_count(f); i++) {
        const rs_tensor *t = rs_checkpoint_at(f, i);
        float *v = malloc((size_t)t->n_elements * sizeof *v);
        double sum = 0, got;
        T_OK(rs_checkpoint_read_f32(f, t, 0, t->n_elements, v, &t_err));
        for (int64_t k = 0; k < t->n_elements; k++) sum += (double)v[k];
        memcpy(&got, h->look.data + (size_t)i * sizeof got, sizeof got);
        T_NEAR(got, sum / (double)t->n_elements, 1e-15, 1e-12);
        free(v);
    }
    rs_checkpoint_close(f);
    fx.text = none;
    ui_engine_effect(h->e, &fx, ui_now());
    UNTIL(h, h->looks == looks + 2);
    T_TRUE(h->look_what == UI_LOOK_MEANS && strstr(rs_buf_str(&h->look), "none.safetensors"));
}

static void single_tensors_are_looked_at(void)
{
    heard *h = listen_to(0);
    rs_runtime rt;
    rs_recipe *r;
    rs_plan *p;
    rs_spreads *s;
    static rs_spread want;
    int i = 0;
    T_OK(rs_init(NULL, &rt, &t_err));
    T_OK(rs_recipe_load(RECIPE, &r, &t_err));
    T_OK(rs_plan_build(&rt, r, NULL, &p, &t_err));
    while (!strstr(rs_plan_at(p, i)->name, "layers.2.mlp.up_proj")) i++;
    T_OK(rs_spreads_open(&rt, p, NULL, NULL, &s, &t_err));
    T_OK(rs_spreads_tensor(s, i, NULL, NULL, &want, &t_err));
    for (int k = 1; k <= 2; k++) { /* another lambda: the same files */
        look_at(h, i, UI_LOOK_SPREAD, want.fingerprint, k);
        UNTIL(h, h->looks == k);
        T_TRUE(h->look_key == want.fingerprint && h->look_what == UI_LOOK_SPREAD);
        T_TRUE(h->look.len == sizeof want && memcmp(h->look.data, &want, sizeof want) == 0);
    }
    look_at(h, i, UI_LOOK_SPECTRUM, 5, 1);
    UNTIL(h, h->looks == 3);
    T_EQ(h->failed_looks, 0);
    T_EQ(h->look.len, 192 * sizeof(double));
    double first, last;
    memcpy(&first, h->look.data, sizeof first);
    memcpy(&last, h->look.data + 191 * sizeof last, sizeof last);
    T_TRUE(first > last && last >= 0);
    look_at(h, 0, UI_LOOK_SPREAD, 0, -1); /* everything is let go */
    look_at(h, 100000, UI_LOOK_SPREAD, 6, 1);
    UNTIL(h, h->looks == 4);
    T_EQ(h->failed_looks, 1);
    T_TRUE(strstr(rs_buf_str(&h->look), "no such tensor") != NULL);
    kill(ui_engine_pid(h->e), SIGKILL);
    UNTIL(h, h->deaths == 1);
    look_at(h, i, UI_LOOK_SPREAD, want.fingerprint, 1);
    UNTIL(h, h->looks == 5 && h->look.len == sizeof want);
    check_means(h);
    rs_spreads_close(s);
    rs_plan_free(p);
    rs_recipe_free(r);
    rs_quit(&rt);
    part(h);
}

/* --- what a fresh run would write --- */

typedef struct fresh {
    rs_runtime rt;
    rs_recipe *recipe;
    rs_live *live;
    rs_tokenizer *t;
    const rs_chat_format *chat;
    rs_line line;
} fresh;

static bool fresh_open(fresh *f, double lambda)
{
    rs_options o = {.threads = 1};
    rs_plan_options po = {0};
    rs_plan *p;
    *f = (fresh){0};
    bool ok = rs_init(&o, &f->rt, &t_err) == RS_OK &&
              rs_recipe_load(RECIPE, &f->recipe, &t_err) == RS_OK;
    if (ok && lambda > 0) rs_recipe_fuel(f->recipe)->dampen.lambda = lambda;
    ok = ok && rs_plan_build(&f->rt, f->recipe, &po, &p, &t_err) == RS_OK &&
         rs_live_open(&f->rt, p, NULL, NULL, NULL, &f->live, &t_err) == RS_OK &&
         rs_tokenizer_load("recipes/sparring/it", &f->t, &t_err) == RS_OK &&
         rs_chat_detect("recipes/sparring/it", f->t, &f->chat, &t_err) == RS_OK;
    rs_line_options lo = {.tokenizer = f->t, .chat = f->chat};
    return ok && rs_line_parse(PROMPT, strlen(PROMPT), "p", &lo, &f->line, &t_err) == RS_OK;
}

static void fresh_close(fresh *f)
{
    rs_line_free(&f->line);
    rs_tokenizer_free(f->t);
    rs_live_close(f->live);
    rs_recipe_free(f->recipe);
    rs_quit(&f->rt);
}

/* The first n greedy ids agree. */
static void same_as_fresh(const int32_t *ids, int n, double lambda)
{
    fresh f;
    rs_generator *g;
    T_TRUE(fresh_open(&f, lambda));
    rs_generate_params p = {.sampler = rs_sampler_defaults(), .max_tokens = 40, .ignore_eos = true};
    p.sampler.temperature = 0;
    int32_t stops[20];
    const rs_config *c = rs_live_model(f.live)->config;
    for (p.n_stop_ids = 0; p.n_stop_ids < c->n_eos; p.n_stop_ids++)
        stops[p.n_stop_ids] = c->eos[p.n_stop_ids];
    p.n_stop_ids += rs_chat_stop_ids(f.chat, f.t, stops + p.n_stop_ids);
    p.stop_ids = stops;
    T_OK(rs_generator_new(&f.rt, rs_live_model(f.live), f.t, f.line.ids.at, f.line.ids.n, &p, &g, &t_err));
    for (int i = 0; i < n; i++) {
        rs_token_event e;
        T_OK(rs_generator_step(g, &e, &t_err));
        if (e.id != ids[i]) T_FAIL("token %d is %d, a fresh run writes %d", i, ids[i], e.id);
    }
    rs_generator_free(g);
    fresh_close(&f);
}

/* --- the process --- */

static void it_follows_measures_and_writes(void)
{
    heard *h = listen_to(0);
    follow(h, 0, 1, 0);
    ask(h, UI_FX_MEASURE, 0, 0, false, false);
    ask(h, UI_FX_GENERATE, 0, 5, false, false);
    UNTIL(h, h->stops == 1 && h->sums_serial == 1);
    T_EQ(h->n[0], 40);
    T_EQ(h->ready_serial, 1);
    T_TRUE(ui_engine_is_settled(h->e) && !ui_engine_is_writing(h->e));
    same_as_fresh(h->ids[0], 40, 0);
    fresh f;
    T_TRUE(fresh_open(&f, 0));
    for (int i = 0; i < rs_plan_count(rs_live_plan(f.live)); i++) {
        rs_tensor_sums s;
        T_OK(rs_sums_tensor(&f.rt, rs_live_plan(f.live), i, false, &s, &t_err));
        T_TRUE(h->sums[i].valid && h->sums[i].fingerprint == s.fingerprint);
        T_TRUE(memcmp(h->sums[i].gram, s.gram, sizeof s.gram) == 0);
        T_TRUE(memcmp(h->sums[i].fisher, s.fisher, sizeof s.fisher) == 0);
        T_TRUE(!isnan(h->sums[i].want_norm)); /* survival came in the second pass */
    }
    fresh_close(&f);
    part(h);
}

static void an_edit_begins_the_text_again(void)
{
    heard *h = listen_to(0);
    follow(h, 0, 1, 0);
    ask(h, UI_FX_GENERATE, 0, 5, false, false);
    UNTIL(h, h->n[0] >= 5);
    follow(h, 0, 2, 0.2);
    UNTIL(h, h->restarts == 2 && h->n[0] == 40);
    T_EQ(h->ready_serial, 2);
    same_as_fresh(h->ids[0], 40, 0.2);
    follow(h, 0, 3, 0.2); /* nothing changes: nothing is written again */
    UNTIL(h, h->ready_serial == 3);
    T_EQ(h->restarts, 2);
    part(h);
}

static void the_last_of_many_edits_wins(void)
{
    heard *h = listen_to(0);
    follow(h, 0, 1, 0);
    ask(h, UI_FX_GENERATE, 0, 5, false, false);
    UNTIL(h, h->n[0] >= 3);
    for (uint64_t i = 2; i <= 100; i++) follow(h, 0, i, 0.2 + 0.01 * (double)i);
    UNTIL(h, h->ready_serial == 100 && h->n[0] == 40 && !ui_engine_is_writing(h->e));
    T_TRUE(h->ready < 60); /* most were never taken */
    same_as_fresh(h->ids[0], 40, 1.2);
    part(h);
}

static void a_text_that_goes_on_keeps_what_stands(void)
{
    heard *h = listen_to(0);
    int32_t before[8];
    follow(h, 0, 1, 0);
    ask(h, UI_FX_GENERATE, 0, 5, true, false);
    UNTIL(h, h->n[0] >= 8);
    memcpy(before, h->ids[0], sizeof before);
    follow(h, 0, 2, 0.1);
    UNTIL(h, h->ready_serial == 2 && h->stops == 1);
    T_TRUE(memcmp(before, h->ids[0], sizeof before) == 0);
    T_EQ(h->restarts, 1);
    T_EQ(h->n[0], 40);
    part(h);
}

static void a_fixed_text_is_finished_as_it_began(void)
{
    heard *h = listen_to(0);
    follow(h, 0, 1, 0);
    ask(h, UI_FX_GENERATE, 0, 5, false, true);
    UNTIL(h, h->n[0] >= 2);
    follow(h, 0, 2, 0.1);
    UNTIL(h, h->ready_serial == 2);
    T_EQ(h->n[0], 40);
    T_EQ(h->starts, 1);
    same_as_fresh(h->ids[0], 40, 0);
    part(h);
}

static void killed_it_starts_again_and_loses_nothing(void)
{
    heard *h = listen_to(0);
    follow(h, 0, 1, 0.5);
    ask(h, UI_FX_MEASURE, 0, 0, false, false);
    ask(h, UI_FX_GENERATE, 0, 5, true, false);
    UNTIL(h, h->n[0] >= 6);
    kill(ui_engine_pid(h->e), SIGKILL);
    UNTIL(h, h->deaths == 1);
    T_TRUE(strstr(h->died, "killed") && strstr(h->died, "starting again"));
    UNTIL(h, h->stops == 1 && h->sums_serial == 1);
    same_as_fresh(h->ids[0], 40, 0.5);
    for (int i = 2; i <= 3; i++) {
        kill(ui_engine_pid(h->e), SIGKILL);
        UNTIL(h, h->deaths == i);
    }
    T_TRUE(strstr(h->died, "three times"));
    T_EQ(ui_engine_pid(h->e), 0);
    ask(h, UI_FX_GENERATE, 0, 6, false, false); /* r */
    UNTIL(h, h->stops == 2);
    T_EQ(h->n[0], 40);
    part(h);
}

static void two_that_do_not_fit_come_one_after_the_other(void)
{
    fresh f;
    T_TRUE(fresh_open(&f, 0));
    heard *h = listen_to(rs_live_bytes(f.live) * 11 / 10);
    fresh_close(&f);
    follow(h, 0, 1, 0);
    follow(h, 1, 1, 0.01);
    ask(h, UI_FX_GENERATE, 0, 5, false, true);
    ask(h, UI_FX_GENERATE, 1, 6, false, true);
    UNTIL(h, h->stops == 2);
    T_STR(h->note, "one after the other: memory");
    T_EQ(h->errors, 0);
    same_as_fresh(h->ids[0], 40, 0);
    same_as_fresh(h->ids[1], 40, 0.01);
    ask(h, UI_FX_CROSS, 0, 0, false, false);
    UNTIL(h, h->cross_last);
    T_EQ(h->cross, 80);
    T_TRUE(h->cross_sum < 0);
    part(h);
}

static void what_is_wrong_is_said_and_survived(void)
{
    char bad[] = "{\"ringside\":1,\"nme\":2}", folder[] = ".";
    heard *h = listen_to(0);
    ui_effect fx = {.kind = UI_FX_FOLLOW, .serial = 1, .text = bad, .path = folder};
    ui_engine_effect(h->e, &fx, ui_now());
    UNTIL(h, h->errors == 1);
    T_TRUE(strstr(h->error, "nme"));
    follow(h, 0, 2, 0);
    ask(h, UI_FX_GENERATE, 0, 5, false, false);
    UNTIL(h, h->stops == 1);
    T_EQ(h->n[0], 40);
    ask(h, UI_FX_DROP_SLOT, 0, 0, false, false);
    ask(h, UI_FX_GENERATE, 0, 6, false, false);
    UNTIL(h, h->errors == 2);
    part(h);
}

static int serve(char **argv)
{
    rs_options o = {.threads = 2};
    rs_runtime rt;
    int fd = -1;
    uint64_t memory = UINT64_C(1) << 32;
    for (; argv[0] && argv[1]; argv++) {
        if (strcmp(argv[0], "--fd") == 0) fd = atoi(argv[1]);
        if (strcmp(argv[0], "--memory") == 0) memory = strtoull(argv[1], NULL, 10);
    }
    if (rs_init(&o, &rt, NULL) != RS_OK) return 4;
    int status = ui_engine_serve(&rt, fd, memory);
    rs_quit(&rt);
    return status;
}

int main(int argc, char **argv)
{
    static const t_test tests[] = {
        T_TEST(events_come_back_as_they_were),
        T_TEST(commands_come_back_as_they_were),
        T_TEST(broken_frames_are_refused),
        T_TEST(the_sampler_is_checked),
        T_TEST(it_follows_measures_and_writes),
        T_TEST(an_edit_begins_the_text_again),
        T_TEST(the_last_of_many_edits_wins),
        T_TEST(a_text_that_goes_on_keeps_what_stands),
        T_TEST(a_fixed_text_is_finished_as_it_began),
        T_TEST(killed_it_starts_again_and_loses_nothing),
        T_TEST(two_that_do_not_fit_come_one_after_the_other),
        T_TEST(what_is_wrong_is_said_and_survived),
        T_TEST(single_tensors_are_looked_at),
    };
    if (argc > 1 && strcmp(argv[1], "engine") == 0) return serve(argv);
    return t_run(__FILE__, tests, (int)(sizeof tests / sizeof *tests), argc, argv);
}
