#include "merge/measure.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A vector written in (W0, D, X, S): what every stage's result is, tensor by tensor. */
typedef struct combination {
    double c[RS_N_V];
} combination;

static double form(const double g[RS_N_V][RS_N_V], const combination *a,
                   const combination *b)
{
    double sum = 0;
    for (int i = 0; i < RS_N_V; i++)
        for (int j = 0; j < RS_N_V; j++)
            sum += a->c[i] * b->c[j] * g[i][j];
    return sum;
}

/* How the two sides of a tensor are joined by the heal. */
typedef struct joint {
    double theta;    /* radians; NaN: not an angle (nothing to turn) */
    double c_a, c_b; /* y = c_a a + c_b b (delta space: of the deltas) */
    bool flat;
} joint;

typedef struct context {
    const rs_plan *plan;
    const rs_stage *fuel, *heal;
    bool fuel_is_second; /* the heal's t = 1 side */
    bool other_is_model; /* the heal's other side is a plain model: x may be it - pt */
    double scale;
    bool out_known;
} context;

/* --- slerp of one tensor --- */

/* Half a step of the output's type, relative: below this slerp and lerp store the same. */
static double storage_step(rs_dtype d)
{
    return d == RS_DTYPE_BF16 ? 0x1p-9 : d == RS_DTYPE_F16 ? 0x1p-12 : 0x1p-25;
}

static double angle(double aa, double bb, double ab)
{
    double cosine = ab / sqrt(aa * bb);
    double minus = 2 - 2 * cosine, plus = 2 + 2 * cosine;
    return 2 * atan2(sqrt(minus > 0 ? minus : 0), sqrt(plus > 0 ? plus : 0));
}

static bool turns(const context *x, const rs_plan_tensor *t)
{
    return t->base->n_dims >= 2 || x->heal->vectors_slerp;
}

/* Coefficients for sides with these squared norms and product. */
static joint join(const context *x, const rs_plan_tensor *tensor, double t, double aa,
                  double bb, double ab)
{
    joint j = {NAN, 1 - t, t, true};
    if (!(aa > 0) || !(bb > 0)) return j;
    j.theta = angle(aa, bb, ab);
    if (!turns(x, tensor) || sin(j.theta) < x->heal->flat_below) return j;
    double s = sin(j.theta), ca = sin((1 - t) * j.theta) / s, cb = sin(t * j.theta) / s;
    if (x->heal->norm_lerp) {
        double length = (1 - t) * sqrt(aa) + t * sqrt(bb);
        ca *= length / sqrt(aa);
        cb *= length / sqrt(bb);
    }
    double off = fabs(ca - j.c_a) * sqrt(aa) + fabs(cb - j.c_b) * sqrt(bb);
    j.flat = off < storage_step(tensor->out_dtype) * sqrt(aa > bb ? aa : bb);
    j.c_a = ca;
    j.c_b = cb;
    return j;
}

/* Without a stage that adds deltas the first input is taken whole. */
static double gain_of(const rs_plan_tensor *t)
{
    return isnan(t->gain) ? 1 : t->gain;
}

/* Tensors that the heal takes from its first input as they are. */
static bool passes_through(const rs_plan_tensor *t)
{
    return t->role.inert || t->role.kind == RS_KIND_TOWER ||
           t->role.kind == RS_KIND_LAYER_SCALAR || !rs_dtype_is_computed(t->base->dtype);
}

/* The output of one tensor less the base, and how it was joined. */
static combination output_change(const context *x, const rs_plan_tensor *t,
                                 const rs_tensor_sums *s, joint *j)
{
    combination fuel = {{1, 0, gain_of(t), 0}}, other = {{0, 0, 0, 1}};
    combination change = {{0, 0, gain_of(t), 0}};
    *j = (joint){NAN, 1, 0, true};
    if (!x->heal) return change;
    if (x->heal->space_delta) fuel.c[RS_V_BASE] = 0, other.c[RS_V_BASE] = -1;
    const combination *a = x->fuel_is_second ? &other : &fuel;
    const combination *b = x->fuel_is_second ? &fuel : &other;
    if (!passes_through(t))
        *j = join(x, t, t->t, form(s->gram, a, a), form(s->gram, b, b),
                  form(s->gram, a, b));
    for (int i = 0; i < RS_N_V; i++)
        change.c[i] = j->c_a * a->c[i] + j->c_b * b->c[i];
    if (!x->heal->space_delta) change.c[RS_V_BASE] -= 1;
    return change;
}

/* --- sums of rows --- */

/* What the rows of a table add up before ratios are taken. */
typedef struct total {
    double damage, out, kept_dot, delta2, applied2, weight2, gain_delta2, gain_plain;
    double sum_d, n_delta, want_dot, want_norm, changed, n, sum_f, max_f, n_f;
    double aa, bb, ab;           /* of the sides that turn, for the angle of a layer */
    double weighed, t, c_a, c_b; /* weighted by |D|^2, else by |W|^2 */
    double change2, change_dot, side2; /* of the output's change, and along S - W0 */
    double leak[3], stored[3];
    double gain;
    int tensors, with_delta, measured;
    bool mixed, stale, flat, has_output, has_leak, stored_stale;
} total;

static void add_angle(const context *x, const rs_plan_tensor *t, const rs_tensor_sums *s,
                      const joint *j, total *sum)
{
    double weight = t->has_delta ? s->gram[RS_V_DELTA][RS_V_DELTA] : 0;
    weight +=
        1e-12 * s->gram[RS_V_BASE][RS_V_BASE]; /* rows without any delta: by |W|^2 */
    sum->weighed += weight;
    sum->t += weight * t->t;
    sum->c_a += weight * j->c_a;
    sum->c_b += weight * j->c_b;
    sum->flat &= j->flat;
    /* Vectors are large in some models, and do not turn; where the sides are the same, which
     * is most of the embeddings, there is no angle to tell of. */
    if (!turns(x, t) || !(j->theta > 0)) return;
    combination fuel = {{x->heal->space_delta ? 0 : 1, 0, gain_of(t), 0}};
    combination other = {{x->heal->space_delta ? -1 : 0, 0, 0, 1}};
    sum->aa += form(s->gram, &fuel, &fuel);
    sum->bb += form(s->gram, &other, &other);
    sum->ab += form(s->gram, &fuel, &other);
}

static void add_delta(const rs_plan_tensor *t, const rs_tensor_sums *s, total *sum)
{
    double delta2 = s->gram[RS_V_DELTA][RS_V_DELTA], g = t->gain;
    if (sum->with_delta && g != sum->gain) sum->mixed = true;
    sum->gain = g;
    sum->with_delta++;
    sum->gain_plain += g;
    sum->delta2 += delta2;
    sum->gain_delta2 += g * delta2;
    sum->kept_dot += g * s->gram[RS_V_DAMPED][RS_V_DELTA];
    sum->applied2 += g * g * s->gram[RS_V_DAMPED][RS_V_DAMPED];
    sum->weight2 += s->gram[RS_V_BASE][RS_V_BASE];
    sum->sum_d += s->sum_d;
    sum->n_delta += s->n_delta;
}

/* A side that the subspace has not counts as nothing inside. */
static void add_leak(const rs_plan_tensor *t, const rs_tensor_sums *s, total *sum)
{
    if (!t->has_delta || isnan(s->leak[0])) return;
    sum->has_leak = true;
    sum->stored_stale |= t->gain != s->at_gain;
    for (int k = 0; k < 3; k++) {
        sum->leak[k] += isnan(s->leak[k]) ? 0 : t->gain * t->gain * s->leak[k];
        sum->stored[k] += isnan(s->stored[k]) ? 0 : s->stored[k];
    }
}

static void add_output(const rs_plan_tensor *t, const rs_tensor_sums *s, total *sum)
{
    bool known = !isnan(s->want_norm);
    sum->has_output |= known;
    if (!known) {
        sum->stale = true;
        return;
    }
    sum->want_dot += s->want_dot;
    sum->want_norm += s->want_norm;
    sum->changed += s->changed;
    bool t_moved = !(isnan(t->t) && isnan(s->at_t)) && t->t != s->at_t;
    bool gain_moved = !(isnan(t->gain) && isnan(s->at_gain)) && t->gain != s->at_gain;
    if (gain_moved || t_moved) sum->stale = true;
}

static void add_tensor(const context *x, int i, const rs_tensor_sums *s, total *sum)
{
    const rs_plan_tensor *t = rs_plan_at(x->plan, i);
    sum->tensors++;
    sum->n += (double)t->base->n_elements;
    if (!s->valid) return;
    sum->measured++;
    joint j;
    combination change = output_change(x, t, s, &j);
    combination side = {{-1, 0, 0, 1}};
    double g = gain_of(t);
    sum->damage += 0.5 * g * g * s->fisher[RS_V_DAMPED][RS_V_DAMPED];
    sum->out += 0.5 * form(s->fisher, &change, &change);
    sum->change2 += form(s->gram, &change, &change);
    sum->change_dot += form(s->gram, &change, &side);
    sum->side2 += form(s->gram, &side, &side);
    sum->sum_f += s->sum_f;
    if (s->sum_f > 0) sum->n_f += s->n;
    if (s->max_f > sum->max_f) sum->max_f = s->max_f;
    if (t->has_delta) add_delta(t, s, sum);
    if (x->heal && !passes_through(t) && isfinite(j.theta)) add_angle(x, t, s, &j, sum);
    add_output(t, s, sum);
    add_leak(t, s, sum);
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

static double degrees(const total *s)
{
    return s->aa > 0 ? angle(s->aa, s->bb, s->ab) * 180 / 3.14159265358979323846 : 0;
}

static double larger(double a, double b)
{
    return isnan(a) || b > a ? b : a;
}

static void set_leak(const total *s, rs_measure_row *r)
{
    r->leak_out = s->has_leak ? ratio(s->leak[1], s->leak[0]) : NAN;
    r->leak_in = s->has_leak ? ratio(s->leak[2], s->leak[0]) : NAN;
    r->leak = larger(r->leak_out, r->leak_in);
    r->stored_out = s->has_leak ? ratio(s->stored[1], s->stored[0]) : NAN;
    r->stored_in = s->has_leak ? ratio(s->stored[2], s->stored[0]) : NAN;
    r->stored = larger(r->stored_out, r->stored_in);
    r->stored_stale = s->stored_stale;
}

static rs_measure_row row_of(const context *x, const total *s)
{
    rs_measure_row r = {.gain = 1, .n = s->n};
    bool missing = s->measured < s->tensors, has_fisher = !isnan(x->scale);
    r.gain = s->with_delta == 0 ? NAN
             : s->delta2 > 0    ? s->gain_delta2 / s->delta2
                                : s->gain_plain / s->with_delta;
    if (!s->mixed && s->with_delta) r.gain = s->gain;
    r.gain_mixed = s->mixed;
    r.d = ratio(s->sum_d, s->n_delta);
    r.damage = has_fisher && !missing && x->fuel ? x->scale * s->damage : NAN;
    r.out = has_fisher && !missing && x->out_known ? x->scale * s->out : NAN;
    r.kept = ratio(s->kept_dot, s->delta2);
    double no_delta = x->fuel ? 0 : NAN;
    r.norm = s->weight2 > 0 ? sqrt(s->applied2 / s->weight2) : no_delta;
    r.delta_norm = s->weight2 > 0 ? sqrt(s->delta2 / s->weight2) : no_delta;
    r.theta = s->weighed > 0 ? degrees(s) : NAN;
    r.t = ratio(s->t, s->weighed);
    r.c_a = ratio(s->c_a, s->weighed);
    r.c_b = ratio(s->c_b, s->weighed);
    r.flat = s->flat && s->weighed > 0;
    r.survival = s->has_output ? ratio(s->want_dot, s->want_norm) : NAN;
    r.survival_stale = s->stale;
    r.changed = s->has_output ? ratio(s->changed, s->n) : NAN;
    set_leak(s, &r);
    r.f_mean = has_fisher ? ratio(s->sum_f, s->n_f) : NAN;
    r.f_max = has_fisher ? s->max_f : NAN;
    return r;
}

static void add_total(total *to, const total *s)
{
    bool mixed =
        to->mixed || s->mixed || (to->with_delta && s->with_delta && to->gain != s->gain);
    double max_f = to->max_f > s->max_f ? to->max_f : s->max_f;
    total sum = *to;
    /* every double of the struct is a sum but gain and max_f, set below */
    double *d = &sum.damage;
    const double *e = &s->damage;
    for (size_t i = 0; i < offsetof(total, tensors) / sizeof *d; i++)
        d[i] += e[i];
    sum.gain = s->with_delta ? s->gain : to->gain;
    sum.max_f = max_f;
    sum.tensors += s->tensors;
    sum.with_delta += s->with_delta;
    sum.measured += s->measured;
    sum.mixed = mixed;
    sum.stale |= s->stale;
    sum.flat &= s->flat;
    sum.has_output |= s->has_output;
    sum.has_leak |= s->has_leak;
    sum.stored_stale |= s->stored_stale;
    *to = sum;
}

/* --- the whole --- */

static bool is_plain_model(const rs_recipe *r, const char *name)
{
    const rs_model_entry *m = rs_recipe_model(r, name);
    return m && m->path;
}

static context look(const rs_plan *p, rs_measure *m)
{
    rs_recipe *r = (rs_recipe *)(uintptr_t)rs_plan_recipe(p); /* only read here */
    context x = {.plan = p, .fuel = rs_recipe_fuel(r), .heal = rs_recipe_heal(r)};
    if (x.heal && x.heal->n_inputs != 2) x.heal = NULL;
    if (x.heal && x.fuel)
        x.fuel_is_second = strcmp(x.heal->inputs[0].from, x.fuel->name) != 0;
    if (x.heal)
        x.other_is_model = is_plain_model(r, x.heal->inputs[!x.fuel_is_second].from);
    x.scale = rs_plan_damage_scale(p, &m->units_unknown);
    x.out_known = rs_plan_out_is_known(p);
    m->scale = x.scale;
    return x;
}

static bool is_outside(const context *x, const total *all)
{
    if (!x->out_known) return false;
    if (x->scale * all->out > 0.3) return true;
    if (!x->other_is_model || !(all->change2 > 0) || !(all->side2 > 0)) return false;
    return all->change_dot / sqrt(all->change2 * all->side2) > 0.5;
}

static void fill(const context *x, const rs_tensor_sums *sums, total *layers,
                 rs_measure *m)
{
    total all = {.flat = true};
    for (int i = 0; i <= m->n_layers; i++)
        layers[i] = (total){.flat = true};
    for (int i = 0; i < m->n_tensors; i++) {
        total one = {.flat = true};
        int layer = rs_plan_at(x->plan, i)->role.layer;
        add_tensor(x, i, &sums[i], &one);
        m->tensor[i] = row_of(x, &one);
        m->complete &= one.measured == one.tensors;
        add_total(&layers[layer >= 0 && layer < m->n_layers ? layer : m->n_layers], &one);
    }
    for (int i = 0; i <= m->n_layers; i++) {
        m->layer[i] = row_of(x, &layers[i]);
        add_total(&all, &layers[i]);
    }
    m->all = row_of(x, &all);
    m->outside = is_outside(x, &all);
}

rs_status rs_measure_from(const rs_plan *p, const rs_tensor_sums *sums, rs_measure **out,
                          rs_err *err)
{
    *out = NULL;
    int n_layers = rs_plan_config(p)->n_layers, n = rs_plan_count(p);
    rs_measure *m = calloc(1, sizeof *m);
    total *layers = calloc((size_t)n_layers + 1, sizeof *layers);
    if (m) {
        m->tensor = calloc((size_t)n + 1, sizeof *m->tensor);
        m->layer = calloc((size_t)n_layers + 1, sizeof *m->layer);
    }
    if (!m || !layers || !m->tensor || !m->layer) {
        rs_measure_free(m);
        free(layers);
        return rs_fail(err, RS_E_NOMEM, "no memory for the numbers of %d tensors", n);
    }
    m->n_layers = n_layers;
    m->n_tensors = n;
    m->complete = true;
    context x = look(p, m);
    fill(&x, sums, layers, m);
    free(layers);
    *out = m;
    return RS_OK;
}

void rs_measure_free(rs_measure *m)
{
    if (!m) return;
    free(m->tensor);
    free(m->layer);
    free(m);
}
