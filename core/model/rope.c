#include "model/model_internal.h"

#include <math.h>

/* The reference takes powers, quotients and products of angles in float32: the same here,
 * so that far positions agree. */
static float plain(const rs_rope *r, int pair)
{
    float exponent = (float)(2 * pair) / (float)(2 * r->half);
    return 1.0f / powf((float)r->theta, exponent);
}

/* llama3: waves longer than original/low are stretched by the factor, those shorter than
 * original/high stay, between them a blend (gemma.md names the sources). */
static float llama3(const rs_rope *r, float freq)
{
    float wave = (float)(2 * 3.14159265358979323846) / freq;
    float stretched = freq / (float)r->factor;
    if (wave > (float)(r->original / r->low)) return stretched;
    if (wave < (float)(r->original / r->high)) return freq;
    float smooth =
        ((float)r->original / wave - (float)r->low) / (float)(r->high - r->low);
    return (1.0f - smooth) * stretched + smooth * freq;
}

static void fill(rs_rope *r)
{
    for (int j = 0; j < r->n_pairs; j++) {
        float f = plain(r, j);
        r->freq[j] = r->original > 0 ? llama3(r, f) : f / (float)r->factor;
    }
}

static int find(const struct rs_model_store *s, const rs_layer_config *l)
{
    for (int i = 0; i < s->n_ropes; i++) {
        const rs_rope *r = &s->ropes[i];
        if (r->half == l->head_dim / 2 && r->n_pairs == l->rope_pairs &&
            r->theta == l->rope_theta && r->factor == l->rope_factor &&
            r->low == l->rope_low && r->high == l->rope_high &&
            r->original == l->rope_original)
            return i;
    }
    return -1;
}

rs_status rs_rope_build(const rs_config *c, struct rs_model_store *s, rs_err *err)
{
    size_t n = (size_t)c->n_layers;
    s->ropes = rs_arena_array(&s->arena, n, sizeof *s->ropes);
    s->layer_rope = rs_arena_array(&s->arena, n, sizeof *s->layer_rope);
    if (!s->ropes || !s->layer_rope)
        return rs_fail(err, RS_E_NOMEM, "no memory for a model");
    for (int i = 0; i < c->n_layers; i++) {
        const rs_layer_config *l = &c->layers[i];
        s->layer_rope[i] = find(s, l);
        if (s->layer_rope[i] >= 0) continue;
        rs_rope *r = &s->ropes[s->n_ropes];
        *r = (rs_rope){.half = l->head_dim / 2,
                       .n_pairs = l->rope_pairs,
                       .theta = l->rope_theta,
                       .factor = l->rope_factor,
                       .low = l->rope_low,
                       .high = l->rope_high,
                       .original = l->rope_original};
        r->freq = rs_arena_array(&s->arena, (size_t)r->n_pairs, sizeof *r->freq);
        if (!r->freq) return rs_fail(err, RS_E_NOMEM, "no memory for a model");
        fill(r);
        s->layer_rope[i] = s->n_ropes++;
    }
    return RS_OK;
}

void rs_rope_carve(const struct rs_model_store *s, int64_t rows, rs_carver *c,
                   float **cos_, float **sin_)
{
    for (int i = 0; i < s->n_ropes; i++) {
        float *cosines = rs_carve(c, rows, s->ropes[i].n_pairs);
        float *sines = rs_carve(c, rows, s->ropes[i].n_pairs);
        if (cos_) cos_[i] = cosines, sin_[i] = sines;
    }
}

void rs_rope_angles(const struct rs_model_store *s, int64_t position, int64_t row,
                    float *const *cos_, float *const *sin_)
{
    for (int i = 0; i < s->n_ropes; i++) {
        const rs_rope *r = &s->ropes[i];
        for (int j = 0; j < r->n_pairs; j++) {
            float angle = (float)position * r->freq[j];
            cos_[i][row * r->n_pairs + j] = cosf(angle);
            sin_[i][row * r->n_pairs + j] = sinf(angle);
        }
    }
}

/* way: 1, or -1 for the turn back */
static void turn(const rs_rope *r, const float *cos_, const float *sin_, float way,
                 float *x)
{
    float *far = x + r->half;
    for (int j = 0; j < r->n_pairs; j++) {
        float a = x[j], b = far[j], sine = way * sin_[j];
        x[j] = a * cos_[j] - b * sine;
        far[j] = b * cos_[j] + a * sine;
    }
}

void rs_rope_turn(const rs_rope *r, const float *cos_, const float *sin_, float *x)
{
    turn(r, cos_, sin_, 1, x);
}

void rs_rope_turn_back(const rs_rope *r, const float *cos_, const float *sin_, float *x)
{
    turn(r, cos_, sin_, -1, x);
}
