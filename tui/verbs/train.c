/* ringside train: a LoRA adapter on a blend of corpora, out of the way of a subspace. */
#include "base/os.h"
#include "tui/verbs/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void defaults(void *options)
{
    ui_train_opts *o = options;
    o->order = "seeded";
    o->side = "both";
    o->project = "exact";
    o->schedule = "cosine";
    o->steps = 200;
    o->batch = 4;
    o->length = 512;
    o->rank = UI_UNSAID;
    o->valid_every = 50;
    o->checkpoint = 300;
    o->strength = 1;
    o->rate = 2e-4;
    o->clip = 1;
}

// clang-format off
static const ui_opt opts[] = {
    {"--model", UI_OPT_STRING, "M", "the model: a folder, a .gguf or org/name", offsetof(ui_train_opts, model)},
    {"--corpus", UI_OPT_LIST, "F[:W]", "a text, or JSON lines in a file .jsonl, with weight W (1); repeatable", offsetof(ui_train_opts, corpora)},
    {"--jsonl", UI_OPT_STRING, "F", "instead: one file of JSON lines: text, prompt, messages or ids", offsetof(ui_train_opts, jsonl)},
    {"--order", UI_OPT_STRING, "ORDER", "seeded (default), or file: step s takes lines s N to s N + N - 1", offsetof(ui_train_opts, order)},
    {"--out", UI_OPT_STRING, "DIR", "the adapter's folder", offsetof(ui_train_opts, out)},
    {"--steps", UI_OPT_INT, "N", "steps (200)", offsetof(ui_train_opts, steps)},
    {"--batch", UI_OPT_INT, "N", "sequences of a step (4)", offsetof(ui_train_opts, batch)},
    {"--length", UI_OPT_INT, "T", "tokens of a window or line, at most (512)", offsetof(ui_train_opts, length)},
    {"--rank", UI_OPT_INT, "R", "rank of the factors (16)", offsetof(ui_train_opts, rank)},
    {"--alpha", UI_OPT_NUMBER, "A", "the change is A / R B A (A: twice the rank)", offsetof(ui_train_opts, alpha)},
    {"--rslora", UI_OPT_FLAG, NULL, "A / sqrt(R) instead", offsetof(ui_train_opts, rslora)},
    {"--targets", UI_OPT_LIST, "SEL", "matrices that a selector takes, or kinds: q_proj,v_proj (q k v o gate up down); repeatable", offsetof(ui_train_opts, targets)},
    {"--layers", UI_OPT_STRING, "LIST", "of these layers alone, e.g. 0-3,6", offsetof(ui_train_opts, layers)},
    {"--init", UI_OPT_STRING, "DIR", "begin with this adapter's factors, rank and alpha", offsetof(ui_train_opts, init)},
    {"--lr", UI_OPT_NUMBER, "X", "learning rate (2e-4)", offsetof(ui_train_opts, rate)},
    {"--warmup", UI_OPT_INT, "N", "steps in which it rises from 0 (0)", offsetof(ui_train_opts, warmup)},
    {"--schedule", UI_OPT_STRING, "NAME", "then cosine (default) or constant", offsetof(ui_train_opts, schedule)},
    {"--weight-decay", UI_OPT_NUMBER, "X", "of AdamW (0)", offsetof(ui_train_opts, decay)},
    {"--clip", UI_OPT_NUMBER, "X", "norm of all gradients at most (1); 0: no limit", offsetof(ui_train_opts, clip)},
    {"--subspace", UI_OPT_STRING, "F", "directions that are protected (ringside subspace)", offsetof(ui_train_opts, subspace)},
    {"--side", UI_OPT_STRING, "SIDE", "both (default), in or out", offsetof(ui_train_opts, side)},
    {"--project", UI_OPT_STRING, "HOW", "exact (default), gradient, or none: measured only", offsetof(ui_train_opts, project)},
    {"--strength", UI_OPT_NUMBER, "X", "of the projection, 0 to 1 (1)", offsetof(ui_train_opts, strength)},
    {"--validation", UI_OPT_NUMBER, "X", "share of each corpus's tokens, at its end, that is kept to validate, in whole sequences: about 8 windows at most (0)", offsetof(ui_train_opts, validation)},
    {"--valid-every", UI_OPT_INT, "N", "steps between validations (50)", offsetof(ui_train_opts, valid_every)},
    {"--raw", UI_OPT_FLAG, NULL, "prompts as plain text, no chat format", offsetof(ui_train_opts, raw)},
    {"--chat-template", UI_OPT_STRING, "NAME", "chat format instead of the model's own", offsetof(ui_train_opts, chat_template)},
    {"--checkpoint", UI_OPT_INT, "S", "seconds between the states that --resume begins from (300)", offsetof(ui_train_opts, checkpoint)},
    {"--resume", UI_OPT_FLAG, NULL, "go on with an interrupted run of the same work", offsetof(ui_train_opts, resume)},
    {"--force", UI_OPT_FLAG, NULL, "replace an existing adapter", offsetof(ui_train_opts, force)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};
// clang-format on

static bool is_in_order(const ui_train_opts *o)
{
    return strcmp(o->order, "file") == 0;
}

/* What would do nothing is no wish that came true. */
static int check_idle(const ui_train_opts *o)
{
    ui_train_opts usual = {.model = NULL};
    defaults(&usual);
    const char *idle = strcmp(o->side, usual.side) != 0         ? "--side"
                       : strcmp(o->project, usual.project) != 0 ? "--project"
                       : o->strength != usual.strength          ? "--strength"
                                                                : NULL;
    if (!o->subspace && idle)
        return ui_usage("train", "%s is of the directions of a --subspace F", idle);
    if (o->valid_every != usual.valid_every && !(o->validation > 0))
        return ui_usage("train", "--valid-every is of a --validation X");
    return UI_EXIT_OK;
}

static int check_words(const ui_train_opts *o)
{
    if (!o->model || !o->out)
        return ui_usage("train", "--model M and --out DIR are needed");
    if ((o->corpora.n > 0) == (o->jsonl != NULL))
        return ui_usage("train", "give either --corpus F (one or several) or --jsonl F");
    if (!is_in_order(o) && strcmp(o->order, "seeded") != 0)
        return ui_usage("train", "--order is seeded or file, not %s", o->order);
    if (is_in_order(o) && (o->corpora.n > 1 || o->validation > 0))
        return ui_usage("train", "--order file takes one file, and all of it");
    if (o->checkpoint < 0 || o->valid_every < 0)
        return ui_usage("train", "--checkpoint and --valid-every are not below 0");
    if (!(o->alpha >= 0) || !isfinite(o->alpha))
        return ui_usage("train", "--alpha %g is not a number from 0", o->alpha);
    if (!(o->validation >= 0 && o->validation <= 0.5))
        return ui_usage("train", "--validation is 0 to 0.5, not %g", o->validation);
    int wrong = ui_check_make_opts("train", RS_MAKE_ADAPTER, opts, o);
    return wrong ? wrong : check_idle(o);
}

/* org/name as it is; of a folder or file its own name, which tells nothing of the disk. */
static void name_base(const ui_train_opts *o, char name[256])
{
    char real[4096];
    const char *said = o->base ? o->base : o->model;
    bool is_there = o->base || rs_os_kind(said) != RS_PATH_NONE;
    if (!is_there || rs_os_real_path(real, sizeof real, said, NULL) != RS_OK)
        snprintf(name, 256, "%s", said);
    else
        snprintf(name, 256, "%s", rs_path_basename(real));
}

static rs_train_options options_of(const ui_train_opts *o, const char *base,
                                   ui_train_show *show)
{
    return (rs_train_options){
        .adamw = {.rate = o->rate,
                  .beta1 = 0.9,
                  .beta2 = 0.999,
                  .eps = 1e-8,
                  .decay = o->decay,
                  .schedule = (rs_schedule)ui_make_word(RS_MAKE_ADAPTER, "schedule",
                                                    o->schedule),
                  .warmup = o->warmup,
                  .steps = o->steps,
                  .clip = o->clip},
        .batch = o->batch,
        .in_order = is_in_order(o),
        .seed = (uint64_t)o->seed,
        .projecting =
            (rs_projecting)ui_make_word(RS_MAKE_ADAPTER, "project", o->project),
        .strength = o->strength,
        .valid_every = o->validation > 0 ? o->valid_every : 0,
        .out = o->out,
        .force = o->force,
        .resume = o->resume,
        .base_name = base,
        .checkpoint_seconds = (double)o->checkpoint,
        .now = ui_now,
        .progress = ui_train_progress,
        .progress_ctx = show,
        .told = ui_train_told,
        .warned = ui_train_warned,
        .told_ctx = show};
}

static rs_status work(ui_common *c, const ui_train_opts *o, ui_trainee *t,
                      ui_train_show *show, rs_train_result *r, rs_err *err)
{
    char base[256];
    name_base(o, base);
    rs_train_options options = options_of(o, base, show);
    rs_string_pair facts[] = {{"model", t->identity},
                              {"subspace", t->subspace_hash},
                              {"side", o->side}},
                   made[] = {{UI_MADE_FROM, o->made_from}};
    options.facts = facts;
    options.n_facts = sizeof facts / sizeof *facts;
    options.metadata = made;
    options.n_metadata = o->made_from != NULL;
    show->since = ui_now();
    return rs_train_run(&c->rt, t->m.model, t->lora, t->protection, t->views, t->n,
                        &options, r, err);
}

static ui_train_show show_of(ui_progress *p, const ui_trainee *t, const ui_train_opts *o)
{
    return (ui_train_show){
        .progress = p, .trainee = t, .steps = o->steps, .done = UINT64_MAX};
}

/* Word by word what the verb would be told. */
static ui_train_opts options_from(const rs_make *m, const ui_product *p)
{
    ui_train_opts o;
    memset(&o, 0, sizeof o);
    defaults(&o);
    o.model = p->model[0];
    o.base = p->base;
    o.out = p->out;
    o.subspace = p->measure;
    o.side = m->side ? m->side : o.side;
    o.project = m->project ? m->project : o.project;
    o.schedule = m->schedule ? m->schedule : o.schedule;
    o.layers = m->layers;
    o.chat_template = m->chat_template;
    o.raw = m->raw;
    o.made_from = p->made_from;
    if (m->targets) o.targets.at[o.targets.n++] = m->targets;
    o.rank = m->rank;
    o.alpha = m->alpha;
    o.rslora = m->rslora;
    o.steps = m->steps;
    o.batch = m->batch;
    o.length = m->length;
    o.warmup = m->warmup;
    o.seed = m->seed;
    o.strength = m->strength;
    o.rate = m->lr;
    o.decay = m->weight_decay;
    o.clip = m->clip;
    o.validation = m->validation;
    o.checkpoint = p->checkpoint;
    o.force = p->force;
    o.resume = p->resume;
    return o;
}

rs_status ui_train_make(ui_common *c, const rs_make *m, ui_product *p, ui_progress *show,
                        rs_err *err)
{
    ui_trainee t = {0};
    rs_train_result r = {0};
    ui_train_opts o = options_from(m, p);
    ui_train_show s = show_of(show, &t, &o);
    for (int i = 0; i < m->n_corpora; i++)
        ui_trainee_add_weighed(&t, p->data[i], m->corpora[i].weight);
    rs_status st = ui_trainee_open(c, &o, show, &t, err);
    if (st == RS_OK) st = work(c, &o, &t, &s, &r, err);
    p->resumed = st == RS_OK && r.resumed_at >= 0;
    p->useless = r.useless;
    free(r.steps);
    ui_trainee_close(&t);
    return st;
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args, (void)args;
    ui_train_opts *o = options;
    o->seed = c->seed;
    int wrong = check_words(o);
    if (wrong) return wrong;
    rs_err err;
    ui_progress progress;
    ui_trainee t = {0};
    rs_train_result r = {0};
    rs_buf json = {0};
    ui_train_show show = show_of(&progress, &t, o);
    for (int i = 0; i < o->corpora.n; i++)
        ui_trainee_add(&t, o->corpora.at[i]);
    if (o->jsonl) ui_trainee_add_weighed(&t, o->jsonl, 1);
    ui_progress_begin(&progress, c, "train");
    rs_status st = ui_trainee_open(c, o, &progress, &t, &err);
    if (st == RS_OK) st = work(c, o, &t, &show, &r, &err);
    double seconds = ui_now() - progress.started;
    if (st == RS_OK) ui_train_json(o, &show, &r, seconds, false, &json);
    ui_progress_end(&progress, st, &err, st == RS_OK ? rs_buf_str(&json) : NULL);
    if (st == RS_OK) ui_train_say(c, o, &show, &r, seconds);
    rs_buf_free(&json);
    free(r.steps);
    ui_trainee_close(&t);
    return st == RS_OK ? UI_EXIT_OK : ui_fail("train", &err);
}

const ui_verb ui_verb_train = {
    .name = "train",
    .usage = "--model M (--corpus F[:W] ... | --jsonl F) --out DIR [--subspace F]",
    .summary = "LoRA adapter trained on a blend of corpora, out of the way of a subspace",
    .details =
        "Trains factors of matrices, the model frozen, and writes them as a PEFT folder "
        "(float32). Texts are cut into windows; of conversations only what the model "
        "says "
        "counts. Each sequence of a step draws a corpus by weight and takes its next "
        "one, in "
        "an order that --seed decides; AdamW, the gradients of a step's sequences added "
        "up. "
        "With --subspace no step leaves anything in the protected directions (--project "
        "exact); "
        "the leak, the share of the change's squares that lies inside, is measured in "
        "every "
        "step. A run that is stopped, and every --checkpoint seconds one that is not, "
        "leaves "
        "a state in DIR.training; --resume goes on from there to the same bytes. "
        "--events "
        "tells of losses, rates and leaks step by step. --threads never changes a byte.",
    .opts = opts,
    .opts_size = sizeof(ui_train_opts),
    .defaults = defaults,
    .run = run,
};
