/* sink.h - where gradients go.
 *
 * The way back does not make gradients of weights: it tells a sink what they are the product
 * of, token by token, and the sink makes of it what it needs: a sum (gradients), squares of
 * sums (Fisher, kind sequence), sums of squares (kind position), nothing (frozen weights beside
 * an adapter, lora.h). A tensor may be told of several times in one way back (the head in pieces
 * of tokens, a tied table by head and lookup): its gradient is the sum. */
#ifndef RS_SINK_H
#define RS_SINK_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* A tensor's place in the model: offset into rs_layer_weights, or with layer -1 into rs_model
 * (family.h's slots have the same). A tied head is told of at the place of the embedding. */
typedef struct rs_place {
    int layer;
    size_t offset;
} rs_place;

typedef struct rs_sink {
    void *ctx;
    /* dW += sum over n tokens of dy_t x_t^T; dy [n, rows of W], x [n, columns of W], rows ldy
     * and ldx apart. */
    rs_status (*matrix)(void *ctx, rs_place at, const float *dy, int64_t ldy,
                        const float *x, int64_t ldx, int64_t n, rs_err *err);
    /* dw += sum over tokens of the rows; rows [n, width] */
    rs_status (*vector)(void *ctx, rs_place at, const float *rows, int64_t n,
                        int64_t width, rs_err *err);
    /* row id_t of the table += scale rows_t; id -1: none. rows [n, width], ld apart */
    rs_status (*lookup)(void *ctx, rs_place at, const int32_t *ids, const float *rows,
                        int64_t ld, float scale, int64_t n, int64_t width, rs_err *err);
} rs_sink;

/* Takes everything and makes nothing of it: where the model's weights are frozen. */
rs_sink rs_sink_none(void);

#endif
