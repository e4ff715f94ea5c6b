/* The memory of a merge: within the budget by smaller chunks and fewer threads, refused with
 * numbers below that, and the same bytes all the way. */
#include "merge/eval.h"
#include "merge/execute.h"
#include "merge/export_merge.h"
#include "merge/memory.h"
#include "tests/files.h"
#include "tests/t.h"

static rs_recipe *load(const char *from, const char *to)
{
    rs_recipe *r = NULL;
    rs_buf text = get_file("tests/golden/demo/luchador-miniature.json");
    const char *full = from ? replaced(text.data, from, to) : text.data;
    if (!full) return printf("no %s in the recipe\n", from), NULL;
    if (rs_recipe_parse(full, strlen(full), "tests/golden/demo", "recipe", &r, &t_err) !=
        RS_OK)
        printf("%s\n", t_err.msg);
    return r;
}

/* A plan under a budget; the runtime lives as long as the plan. */
typedef struct setup {
    rs_runtime rt;
    rs_recipe *r;
    rs_plan *p;
} setup;

static rs_status open_setup(setup *s, rs_recipe *r, int threads, uint64_t budget)
{
    rs_options o = {.threads = threads, .memory_bytes = budget};
    s->r = r;
    s->p = NULL;
    RS_TRY(rs_init(&o, &s->rt, &t_err));
    return rs_plan_build(&s->rt, r, NULL, &s->p, &t_err);
}

static void close_setup(setup *s)
{
    rs_plan_free(s->p);
    rs_recipe_free(s->r);
    rs_quit(&s->rt);
}

static void too_little_is_refused_with_numbers(void)
{
    setup s;
    rs_execute_result result;
    const char *folder = t_folder();
    rs_execute_options o = {.out = in_folder(folder, "out")};
    T_OK(open_setup(&s, load(NULL, NULL), 4, 3000000));
    rs_plan_needs n = rs_plan_need(s.p);
    char want[64];
    snprintf(want, sizeof want, "needs %.1f MB of memory", (double)n.memory_bytes / 1e6);
    T_TRUE(n.memory_bytes > 3000000);
    T_FAILS(rs_execute(&s.rt, s.p, &o, &result, &t_err), RS_E_NOMEM, want);
    T_TRUE(strstr(t_err.msg, "may use 3.0 MB: raise --memory") != NULL);
    T_EQ(rs_os_kind(o.out), RS_PATH_NONE);
    bool warned = false;
    for (int i = 0; i < rs_plan_n_warnings(s.p); i++)
        warned |= strcmp(rs_plan_warning(s.p, i), t_err.msg) == 0;
    T_TRUE(warned);
    close_setup(&s);
    T_OK(rs_os_remove_tree(folder, &t_err));
}

static void less_memory_gives_the_same_bytes(void)
{
    static const uint64_t over[] = {1 << 30, 20 << 20, 9 << 20, 4 << 20, 0};
    const char *folder = t_folder();
    rs_execute_options o = {.out = in_folder(folder, "out"), .force = true};
    rs_execute_result first, now;
    setup s;
    T_OK(open_setup(&s, load(NULL, NULL), 1, 1));
    uint64_t least = rs_plan_need(s.p).memory_bytes;
    close_setup(&s);
    int workers = 9;
    for (size_t i = 0; i < sizeof over / sizeof *over; i++) {
        rs_memory m;
        T_OK(open_setup(&s, load(NULL, NULL), 8, least + over[i]));
        T_OK(rs_memory_fit(&s.rt, s.p, 0, rs_memory_of_folder(s.p), &m, &t_err));
        T_TRUE(m.bytes <= least + over[i]);
        T_TRUE(m.workers <= workers);
        workers = m.workers;
        T_EQ(rs_plan_need(s.p).memory_bytes, m.bytes);
        T_OK(rs_execute(&s.rt, s.p, &o, i ? &now : &first, &t_err));
        if (i) T_STR(now.hash, first.hash);
        close_setup(&s);
    }
    T_EQ(workers, 1);
    T_OK(rs_os_remove_tree(folder, &t_err));
}

/* An export of a merge keeps to the budget as the merge does, and says so as early. */
static void exports_fit_too(void)
{
    static const uint64_t over[] = {1 << 30, 9 << 20, 0};
    const char *folder = t_folder();
    const char *first = in_folder(folder, "first.gguf"),
               *now = in_folder(folder, "now.gguf");
    rs_export_result result;
    rs_memory least;
    setup s;
    rs_export_options o = {.out = first, .dtype = RS_DTYPE_BF16, .name = "m"};
    T_OK(open_setup(&s, load(NULL, NULL), 16, 3000000));
    T_FAILS(rs_export_merge(&s.rt, s.p, &o, &result, &t_err), RS_E_NOMEM,
            "may use 3.0 MB: raise --memory");
    T_EQ(rs_os_kind(first), RS_PATH_NONE);
    T_TRUE(!atomic_load(&s.p->cache->prepared));
    rs_status status =
        rs_memory_fit(&s.rt, s.p, 0, rs_memory_of_gguf(s.p), &least, &t_err);
    T_EQ(status, RS_E_NOMEM);
    close_setup(&s);
    for (size_t i = 0; i < sizeof over / sizeof *over; i++) {
        o.out = i ? now : first;
        o.force = i > 1;
        T_OK(open_setup(&s, load(NULL, NULL), 16, least.bytes + over[i]));
        T_OK(rs_export_merge(&s.rt, s.p, &o, &result, &t_err));
        close_setup(&s);
        rs_buf a = get_file(first), b = get_file(o.out);
        T_TRUE(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    }
    /* What is there already is seen before a Fisher is read. */
    o.force = false;
    T_OK(open_setup(&s, load(NULL, NULL), 2, 1 << 30));
    T_FAILS(rs_export_merge(&s.rt, s.p, &o, &result, &t_err), RS_E_EXISTS, "now.gguf");
    T_TRUE(!atomic_load(&s.p->cache->prepared));
    close_setup(&s);
    T_OK(rs_os_remove_tree(folder, &t_err));
}

/* Ranks tensor by tensor are tables beside which everything else is small. */
static void ranks_count(void)
{
    static const char *const ranked =
        "\"kind\": \"ewc\", \"normaliser\": \"rank\", \"scope\": \"tensor\", ";
    setup s;
    T_OK(open_setup(&s, load(NULL, NULL), 2, 1 << 30));
    uint64_t plain = rs_plan_need(s.p).memory_bytes;
    close_setup(&s);
    T_OK(open_setup(&s, load("\"kind\": \"ewc\", ", ranked), 2, 1 << 30));
    uint64_t tables = 0;
    for (int i = 0; i < s.p->sources->n_tensors; i++) {
        const rs_tensor *t = s.p->sources->fishers[0].tensor[i];
        if (t) tables += rs_ranks_bytes(t->n_elements, t->dtype != RS_DTYPE_BF16);
    }
    T_TRUE(tables > 0);
    T_EQ(rs_plan_need(s.p).memory_bytes, plain + tables);
    close_setup(&s);
    T_OK(open_setup(&s, load("\"kind\": \"ewc\", ", ranked), 2, 8 << 20));
    rs_err err;
    T_EQ(rs_plan_prepare(&s.rt, s.p, NULL, NULL, &err), RS_E_NOMEM);
    close_setup(&s);
    T_EQ(rs_ranks_bytes(1000, true) - rs_ranks_bytes(1000, false), 4000);
    T_EQ(rs_ranks_bytes((int64_t)RS_EXACT_RANKS + 1, true),
         rs_ranks_bytes(1000, false)); /* then cells alone */
}

/* All threads use the same floats, which live as long as somebody uses them. */
static void factors_are_shared(void)
{
    setup s;
    rs_held *a, *b;
    rs_workspace *ws;
    int i = 0;
    T_OK(open_setup(&s, load(NULL, NULL), 1, 1 << 30));
    rs_sources *all = s.p->sources;
    const rs_src_adapter *ad = NULL;
    for (int m = 0; m < all->n_models && !ad; m++)
        if (all->adapters[m].adapter) ad = &all->adapters[m];
    while (!ad->pair[i])
        i++;
    T_OK(rs_held_take(all, ad, ad->pair[i], &a, &t_err));
    uint64_t read = rs_os_bytes_read();
    T_OK(rs_held_take(all, ad, ad->pair[i], &b, &t_err));
    T_TRUE(a == b);
    T_EQ(rs_os_bytes_read(), read);
    rs_held_drop(all, a);
    T_TRUE(all->held == b);
    rs_held_drop(all, b);
    T_TRUE(all->held == NULL);
    /* A workspace with factors may be freed after its plan. */
    static char out[1 << 16];
    T_OK(rs_workspace_new(&s.rt, &ws, &t_err));
    T_OK(rs_plan_produce(&s.rt, s.p, ws, i, 0, 16, out, &t_err));
    T_TRUE(all->held != NULL);
    close_setup(&s);
    rs_workspace_free(ws);
}

T_MAIN(T_TEST(too_little_is_refused_with_numbers),
       T_TEST(less_memory_gives_the_same_bytes), T_TEST(exports_fit_too),
       T_TEST(ranks_count), T_TEST(factors_are_shared))
