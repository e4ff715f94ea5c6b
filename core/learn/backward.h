/* backward.h - loss of a sequence, and its gradients by recomputation, layer by layer.
 *
 * The loss is the negative log-likelihood summed over the labels that count, after the
 * soft-cap, in nat. Weights may be stored in any type that can be multiplied; activations and
 * gradients are float32, sums over a vocabulary double. layer_scalar is a buffer and has no
 * gradient; the padding row of a table gets none from lookups. Formulas: the derivative of
 * forward.h's, step by step, in docs/method.md.
 *
 * Usual use: rs_backward_all. The steps below it are for passes that load a model layer by
 * layer: forward of all layers from 0 up, the loss, backward of all from the last down, the
 * embeddings at the end; several sequences may be taken through a layer one after the other
 * with one rs_work. A work's functions use all threads of its runtime; one owner at a time. */
#ifndef RS_BACKWARD_H
#define RS_BACKWARD_H

#include "learn/sequence.h"
#include "learn/sink.h"
#include "model/weights.h"
#include "tensor/runtime.h"

typedef struct rs_work rs_work;

/* Room for one layer's insides at up to n tokens. model: borrowed; only what a step reads must
 * be bound while it runs. */
rs_status rs_work_new(const rs_runtime *rt, const rs_model *m, int64_t n, rs_work **out,
                      rs_err *err) RS_MUST_USE;
void rs_work_free(rs_work *w); /* NULL is fine */
/* With up to `bytes` more, insides of layers, from the last down, are kept from the way forward
 * to the way back, not made again: for passes that take one sequence forward and back before the
 * next. The same bits. After rs_work_adapt. */
void rs_work_keep(rs_work *w, uint64_t bytes);
uint64_t rs_work_bytes(const rs_runtime *rt, const rs_model *m, int64_t n);

/* x[0] and ple from the ids. */
rs_status rs_forward_embed(rs_work *w, rs_sequence *s, rs_err *err) RS_MUST_USE;
/* x[i + 1] from x[i]; donors' K and V. */
rs_status rs_forward_layer(rs_work *w, rs_sequence *s, int i, rs_err *err) RS_MUST_USE;
/* The loss; and, unless sink is NULL, dx of the last layer's output and the gradients of the
 * head and the last norm, all times `scale`. */
rs_status rs_loss(rs_work *w, rs_sequence *s, double scale, const rs_sink *sink,
                  double *loss, rs_err *err) RS_MUST_USE;
/* dx of layer i's input from that of its output. */
rs_status rs_backward_layer(rs_work *w, rs_sequence *s, int i, const rs_sink *sink,
                            rs_err *err) RS_MUST_USE;
/* The tables, from dx of the first layer's input and dple. */
rs_status rs_backward_embed(rs_work *w, rs_sequence *s, const rs_sink *sink,
                            rs_err *err) RS_MUST_USE;

/* All of it. */
rs_status rs_backward_all(rs_work *w, rs_sequence *s, double scale, const rs_sink *sink,
                          double *loss, rs_err *err) RS_MUST_USE;

#endif
