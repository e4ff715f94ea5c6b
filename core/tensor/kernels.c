#include "tensor/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define DECLARE(isa)                                                                     \
    extern const struct rs_convert_kernels rs_convert_kernels_##isa;                     \
    extern const struct rs_merge_kernels rs_merge_kernels_##isa;                         \
    extern const struct rs_product_kernels rs_product_kernels_##isa;                     \
    extern const struct rs_linear_kernels rs_linear_kernels_##isa

DECLARE(base);
#ifdef __x86_64__
DECLARE(avx2);
DECLARE(avx512);
#endif

#define TABLE(isa)                                                                       \
    {                                                                                    \
#isa, &rs_convert_kernels_##isa, &rs_merge_kernels_##isa,                        \
            &rs_product_kernels_##isa, &rs_linear_kernels_##isa                          \
    }

/* From the most wanted to the one that always runs. */
static const rs_kernels tables[] = {
#ifdef __x86_64__
    TABLE(avx512),
    TABLE(avx2),
#endif
    TABLE(base),
};

static const int n_tables = (int)(sizeof tables / sizeof *tables);

static bool processor_has(const char *isa)
{
#ifdef __x86_64__
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (strcmp(isa, "avx2") == 0) return avx2;
    if (strcmp(isa, "avx512") == 0)
        return avx2 && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq");
#endif
    return strcmp(isa, "base") == 0;
}

rs_status rs_kernels_pick(const char *isa, const rs_kernels **out, rs_err *err)
{
    bool any = !isa || isa[0] == 0;
    for (int i = 0; i < n_tables; i++) {
        if (!any && strcmp(isa, tables[i].isa) != 0) continue;
        if (processor_has(tables[i].isa)) return *out = &tables[i], RS_OK;
        if (!any)
            return rs_fail(
                err, RS_E_UNSUPPORTED,
                "this processor has no %s: use base, or leave the choice to the "
                "program",
                isa);
    }
    return rs_fail(
        err, RS_E_UNSUPPORTED, "\"%s\" is no instruction set of this build%s", isa,
        n_tables > 1 ? ": base, avx2 and avx512 are" : ": base is the only one");
}
