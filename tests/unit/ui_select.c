/* Selectors on a model that lacks what some of their words mean: Llama has no per-layer
 * embeddings. */
#include "tests/synthetic.h"
#include "tests/unit/ui_app_fake.h"

static const char recipe[] =
    "{\"ringside\":1,\"name\":\"plain\",\"models\":{\"it\":{\"path\":\"model\"},"
    "\"a\":{\"adapter\":\"adapter\"}},\"stages\":[{\"name\":\"fuel\",\"method\":"
    "\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{\"from\":\"a\"}],\"scale\":0.3}]}";

static bool open_llama(void)
{
    char path[512];
    rs_buf json = {0};
    snprintf(folder, sizeof folder, "%s", t_folder());
    bool good = rs_os_read_file(t_golden("models/llama/config.json"), 1 << 20, &json,
                                &t_err) == RS_OK;
    snprintf(path, sizeof path, "%s/model", folder);
    good = good && synthetic_model(path, rs_buf_str(&json), &t_err) == RS_OK;
    snprintf(path, sizeof path, "%s/adapter", folder);
    good = good && synthetic_adapter(path, rs_buf_str(&json), 4, &t_err) == RS_OK;
    snprintf(path, sizeof path, "%s/plain.json", folder);
    good = good && rs_os_write_file(path, recipe, strlen(recipe), &t_err) == RS_OK &&
           open_app(path, NULL, 80, 24, UI_GLYPHS_BRAILLE) && measure_now();
    if (!good) printf("%s\n", t_err.msg);
    rs_buf_free(&json);
    return good;
}

static int n_marked(void)
{
    int n = 0;
    for (int i = 0; i < app->rows.n; i++)
        n += app->rows.marked[i];
    return n;
}

static void what_is_not_there(void)
{
    static const char *const lines[] = {"gain ple =0.25", "select ple", "mark ple",
                                        "gain layers.1 & ple =0.25"};
    T_TRUE(open_llama());
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        line(lines[i]);
        T_SHOWS("matches no row here");
        T_EQ(n_marked(), 0);
        T_TRUE(ui_doc_is_saved(&app->doc));
        key("Esc");
    }
    close_app();
}

/* The other kinds that are named are changed, and only they are counted and written. */
static void what_is_there_besides(void)
{
    T_TRUE(open_llama());
    line("gain !attn & !norm & !embed =0.5");
    T_SHOWS("3 kinds changed");
    T_TRUE(strstr(app->doc.at.text, "\"mlp\": 0.5") != NULL);
    T_TRUE(strstr(app->doc.at.text, "ple") == NULL);
    line("select !attn & !norm & layers.1");
    T_EQ(n_marked(), 1);
    close_app();
}

T_MAIN(T_TEST(what_is_not_there), T_TEST(what_is_there_besides))
