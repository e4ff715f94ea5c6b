/* A GGUF is the same by any number of threads and pieces, and straight out of a merge the same
 * as by way of a folder. */
#include "merge/execute.h"
#include "merge/export_merge.h"
#include "tests/exported.h"

/* Small memory makes small chunks. */
static void same_bytes_by_any_threads(void)
{
    static const rs_dtype types[] = {RS_DTYPE_BF16, RS_DTYPE_Q8_0, RS_DTYPE_Q4_0};
    const char *folder = t_folder();
    const char *a = in_folder(folder, "a.gguf"), *b = in_folder(folder, "b.gguf");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        exported one, many;
        rs_export_options o = {.out = a, .dtype = types[i], .force = true};
        T_OK(export_how(&one, "recipes/sparring/it", o, 1, 1 << 28));
        o.out = b;
        T_OK(export_how(&many, "recipes/sparring/it", o, 5, 1 << 16));
        T_TRUE(same_files(a, b));
        done(&one);
        done(&many);
    }
}

static rs_status both_ways(const char *direct, const char *merged)
{
    rs_runtime rt;
    rs_recipe *r;
    rs_plan *plan = NULL;
    rs_options ro = {.threads = 2, .memory_bytes = 1 << 28};
    rs_plan_options po = {0};
    rs_export_options o = {.out = direct, .dtype = RS_DTYPE_Q8_0, .name = "m"};
    rs_execute_options x = {.out = merged};
    rs_export_result made;
    rs_execute_result written;
    RS_TRY(rs_init(&ro, &rt, &t_err));
    RS_TRY(rs_recipe_load("tests/golden/demo/luchador-miniature.json", &r, &t_err));
    rs_status s = rs_plan_build(&rt, r, &po, &plan, &t_err);
    if (s == RS_OK) s = rs_export_merge(&rt, plan, &o, &made, &t_err);
    if (s == RS_OK) s = rs_execute(&rt, plan, &x, &written, &t_err);
    rs_plan_free(plan);
    rs_recipe_free(r);
    rs_quit(&rt);
    return s;
}

static void a_merge_needs_no_folder(void)
{
    const char *folder = t_folder();
    const char *direct = in_folder(folder, "direct.gguf");
    const char *merged = in_folder(folder, "merged");
    const char *after = in_folder(folder, "after.gguf");
    exported e;
    T_OK(both_ways(direct, merged));
    rs_export_options o = {.out = after, .dtype = RS_DTYPE_Q8_0, .name = "m"};
    T_OK(export_how(&e, merged, o, 2, 1 << 28));
    T_TRUE(rs_checkpoint_metadata(e.file, "ringside.recipe"));
    T_TRUE(same_files(direct, after));
    rs_recipe *r = NULL;
    T_OK(rs_recipe_load(after, &r, &t_err)); /* the file says what made it */
    T_STR(r->name, "luchador-miniature");
    T_EQ(rs_recipe_fuel(r)->n_inputs, 7);
    rs_recipe_free(r);
    done(&e);
}

/* A file that the merge reads is not even replaced by force. */
static void a_merge_keeps_what_it_reads(void)
{
    rs_runtime rt;
    rs_recipe *r;
    rs_plan *plan;
    rs_export_result made;
    rs_options ro = {.threads = 1, .memory_bytes = 1 << 28};
    rs_export_options o = {.out = "recipes/sparring/it/model.safetensors",
                           .dtype = RS_DTYPE_BF16,
                           .force = true};
    T_OK(rs_init(&ro, &rt, &t_err));
    T_OK(rs_recipe_load("tests/golden/demo/luchador-miniature.json", &r, &t_err));
    T_OK(rs_plan_build(&rt, r, &(rs_plan_options){0}, &plan, &t_err));
    T_FAILS(rs_export_merge(&rt, plan, &o, &made, &t_err), RS_E_EXISTS,
            "which this merge reads");
    rs_plan_free(plan);
    rs_recipe_free(r);
    rs_quit(&rt);
}

T_MAIN(T_TEST(same_bytes_by_any_threads), T_TEST(a_merge_needs_no_folder),
       T_TEST(a_merge_keeps_what_it_reads))
