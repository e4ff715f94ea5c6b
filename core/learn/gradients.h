/* gradients.h - a sink that adds up gradients of all of a model's tensors in float32.
 *
 * Tensors are those of the family's slots that the model needs, but for buffers
 * (layer_scalar); a tied head is the embedding's. */
#ifndef RS_GRADIENTS_H
#define RS_GRADIENTS_H

#include "learn/sink.h"
#include "model/family.h"
#include "tensor/runtime.h"

typedef struct rs_gradients rs_gradients;

rs_status rs_gradients_new(const rs_runtime *rt, const rs_config *c, rs_gradients **out,
                           rs_err *err) RS_MUST_USE;
void rs_gradients_free(rs_gradients *g); /* NULL is fine */
void rs_gradients_zero(rs_gradients *g);
rs_sink rs_gradients_sink(rs_gradients *g);
/* Of the tensor at a slot, row-major, or NULL: it has none. */
const float *rs_gradients_of(const rs_gradients *g, int layer, const rs_slot *s);

#endif
