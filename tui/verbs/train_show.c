/* What a training says: a line that moves, events with curves, the result. */
#include "base/limits.h"
#include "tui/verbs/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

bool ui_train_progress(void *ctx, const rs_progress *g)
{
    ui_train_show *s = ctx;
    if (g->done == s->done) return !ui_interrupted(); /* within a step */
    s->done = g->done;
    rs_progress named = *g;
    named.what = s->what;
    return ui_progress_step(s->progress, &named);
}

void ui_train_warned(void *ctx, const char *text)
{
    const ui_train_show *s = ctx;
    ui_progress_warn(s->progress, text);
}

static double leak_of(const rs_leak *l)
{
    return l->out > l->in ? l->out : l->in;
}

static void put_number(rs_buf *b, const char *key, double v)
{
    rs_buf_printf(b, ",\"%s\":", key);
    rs_buf_json_double(b, v);
}

static void put_corpora(const ui_train_show *show, const rs_train_step *s, rs_buf *b)
{
    rs_buf_puts(b, ",\"corpora\":[");
    for (int i = 0; i < show->trainee->n; i++) {
        const rs_corpus_loss *c = &s->corpora[i];
        rs_buf_puts(b, i ? ",{\"name\":" : "{\"name\":");
        rs_buf_json(b, show->trainee->corpora[i].name,
                    strlen(show->trainee->corpora[i].name));
        put_number(b, "loss", c->loss);
        rs_buf_printf(b, ",\"tokens\":%" PRId64, c->tokens);
        if (!s->is_validation) put_number(b, "epochs", c->epochs);
        rs_buf_putc(b, '}');
    }
    rs_buf_puts(b, "]}\n");
}

static void step_event(const ui_train_show *show, const rs_train_step *s, double rate)
{
    rs_buf b = {0};
    rs_buf_printf(&b, "{\"event\":\"%s\",\"step\":%" PRId64 ",\"steps\":%" PRId64,
                  s->is_validation ? "valid" : "train", s->step, show->steps);
    put_number(&b, "loss", s->loss);
    if (!s->is_validation) {
        bool protects = show->trainee->protection != NULL;
        put_number(&b, "lr", s->rate);
        put_number(&b, "norm", s->norm);
        put_number(&b, "leak", protects ? leak_of(&s->leak) : NAN);
        put_number(&b, "leak_out", protects ? s->leak.out : NAN);
        put_number(&b, "leak_in", protects ? s->leak.in : NAN);
        rs_buf_printf(&b, ",\"tokens\":%" PRId64, s->tokens);
        put_number(&b, "tokens_per_second", rate);
    }
    put_corpora(show, s, &b);
    ui_progress_event(show->progress, &b);
    rs_buf_free(&b);
}

void ui_train_told(void *ctx, const rs_train_step *s)
{
    ui_train_show *show = ctx;
    double now = ui_now(), seconds = now - show->since;
    double rate = seconds > 0 ? (double)s->tokens / seconds : 0;
    show->since = now;
    step_event(show, s, rate);
    if (s->is_validation) return;
    show->tokens += s->tokens;
    int n =
        snprintf(show->what, sizeof show->what, "loss %.3f  lr %.1e", s->loss, s->rate);
    if (show->trainee->protection)
        n += snprintf(show->what + n, sizeof show->what - (size_t)n, "  leak %.0e",
                      leak_of(&s->leak));
    snprintf(show->what + n, sizeof show->what - (size_t)n, "  %.0f tok/s", rate);
}

/* --- the result --- */

static double loss_at(const rs_train_record *r)
{
    return r->loss;
}

static double norm_at(const rs_train_record *r)
{
    return r->norm;
}

static double leak_at(const rs_train_record *r)
{
    return leak_of(&r->leak);
}

static void put_list(rs_buf *b, const char *key, const rs_train_result *r, int64_t n,
                     double (*of)(const rs_train_record *))
{
    rs_buf_printf(b, "\"%s\":[", key);
    for (int64_t i = 0; i < n; i++) {
        if (i) rs_buf_putc(b, ',');
        rs_buf_json_double(b, of(&r->steps[i]));
    }
    rs_buf_puts(b, "],");
}

void ui_train_json(const ui_train_opts *o, const ui_train_show *show,
                   const rs_train_result *r, double seconds, bool lists, rs_buf *b)
{
    const rs_train_record *last = &r->steps[o->steps - 1];
    rs_buf_putc(b, '{');
    if (lists) {
        put_list(b, "losses", r, o->steps, loss_at);
        put_list(b, "grad_norms", r, o->steps, norm_at);
        put_list(b, "leak", r, o->steps, leak_at);
    }
    rs_buf_puts(b, "\"out\":");
    rs_buf_json(b, o->out, strlen(o->out));
    rs_buf_printf(b, ",\"hash\":\"%s\",\"steps\":%" PRId64 ",\"matrices\":%d", r->hash,
                  o->steps, show->trainee->lora->n);
    put_number(b, "loss", last->loss);
    if (show->trainee->protection) {
        put_number(b, "leak_out", last->leak.out);
        put_number(b, "leak_in", last->leak.in);
        put_number(b, "leak_most", last->leak.most);
    }
    if (r->resumed_at >= 0) rs_buf_printf(b, ",\"resumed_at\":%" PRId64, r->resumed_at);
    rs_buf_printf(b, ",\"tokens\":%" PRId64 ",\"peak_bytes\":%" PRIu64 ",\"seconds\":%.3f}",
                  show->tokens, rs_os_peak_memory(), seconds);
}

void ui_train_say(const ui_common *c, const ui_train_opts *o, const ui_train_show *show,
                  const rs_train_result *r, double seconds)
{
    rs_buf b = {0};
    const rs_train_record *first = &r->steps[0], *last = &r->steps[o->steps - 1];
    if (c->json) {
        ui_train_json(o, show, r, seconds, true, &b);
        rs_buf_putc(&b, '\n');
    } else if (!c->quiet) {
        ui_put_clean(&b, o->out);
        rs_buf_printf(
            &b,
            ": %d matrices, rank %d, %" PRId64 " steps in %.1f s and %.1f MB, loss %.4f to "
            "%.4f",
            show->trainee->lora->n, show->trainee->lora->rank, o->steps, seconds,
            (double)rs_os_peak_memory() / 1e6, first->loss, last->loss);
        if (show->trainee->protection)
            rs_buf_printf(&b, ", leak %.1e (outputs) %.1e (inputs)", last->leak.out,
                          last->leak.in);
        if (r->resumed_at >= 0) rs_buf_printf(&b, ", resumed at %" PRId64, r->resumed_at);
        rs_buf_putc(&b, '\n');
    }
    ui_print(&b);
    rs_buf_free(&b);
}
