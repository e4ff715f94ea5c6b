#include "tensor/merge_kernels.h"

#include "tensor/log_inline.h"

double rs_merge_log(float f)
{
    int32_t exponent;
    float mantissa = rs_log_split(f, &exponent);
    return rs_log_join(mantissa, exponent);
}
