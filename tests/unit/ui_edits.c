/* Whatever a command makes of a recipe can be read again: undo, the session and a save keep
 * the text, so an edit whose text is refused would be the last one. */
#include "tests/unit/ui_app_fake.h"

#include "base/rng.h"

/* Of every command that edits, with what it takes and what it refuses. */
static const char *const edits[] = {"heal delta",
                                    "heal weight",
                                    "heal norm=lerp",
                                    "heal rowwise=on",
                                    "heal vectors=slerp",
                                    "heal opposite=error",
                                    "heal flat_below=0.5",
                                    "heal flat_below=2",
                                    "heal delta",
                                    "heal delta norm=raw",
                                    "heal weight rowwise=off",
                                    "dampen one_minus",
                                    "lambda a=0.3 b=1",
                                    "lambda b=2",
                                    "dampen hard",
                                    "lambda q=0.5",
                                    "lambda 2",
                                    "dampen task",
                                    "dampen none",
                                    "normaliser p99",
                                    "dampen ewc",
                                    "lambda 0",
                                    "lambda 1e-9",
                                    "lambda 1000000",
                                    "normaliser rank",
                                    "normaliser log",
                                    "normaliser max",
                                    "normaliser none",
                                    "normaliser scope=tensor",
                                    "normaliser scope=global",
                                    "normaliser mean",
                                    "dampen",
                                    "dampen",
                                    "dampen",
                                    "dampen",
                                    "mask both 0.5",
                                    "mask off",
                                    "mask",
                                    "lambda-up",
                                    "lambda-down",
                                    "scale 100",
                                    "scale -100",
                                    "scale 1e-7",
                                    "scale 0",
                                    "scale-down",
                                    "scale-up",
                                    "weight gothic =0",
                                    "weight sea *-1",
                                    "weight comic =1e30",
                                    "weight comic =0.5",
                                    "gain layers.3 =0",
                                    "gain mlp *1e9",
                                    "gain * =1e-12",
                                    "gain layers.0-2 & mlp +0.25",
                                    "gain q_proj =0.7",
                                    "gain nothing =1",
                                    "t layers.3 =0",
                                    "t * =1",
                                    "t * =2",
                                    "t mlp =0.5",
                                    "t layers.2 & mlp =0.3",
                                    "mute layers.2",
                                    "mute mlp",
                                    "solo layers.4",
                                    "solo layers.4",
                                    "lock layers.1",
                                    "lock layers.1",
                                    "reset layers.3",
                                    "reset *",
                                    "budget 0",
                                    "budget 1e-9",
                                    "budget 10m of=out",
                                    "budget 5m of=fuel",
                                    "budget 1e300",
                                    "notes \"a\" \\ b {\"c\":1}",
                                    "notes \x01",
                                    "curve ring 0 1",
                                    "random 3",
                                    "gains 1,2,3",
                                    "gains 0,0,0,0,0,0,0,0",
                                    "remove sea",
                                    "remove folk",
                                    "remove comic",
                                    "remove detective",
                                    "remove regency",
                                    "remove scientific",
                                    "remove gothic",
                                    "budget 1m",
                                    "morph A B 0.5",
                                    "scene B",
                                    "scale 0.3",
                                    "heal delta",
                                    "scene A",
                                    "morph A B 0.25",
                                    "morph A B 0.75"};
enum { N_EDITS = sizeof edits / sizeof *edits };

static bool reads_again(const char *after)
{
    rs_recipe *r = NULL;
    rs_err err = {0};
    const ui_shown *s = ui_doc_base(&app->doc);
    rs_status status = rs_recipe_parse(s->text, strlen(s->text), s->recipe->folder,
                                       "the recipe", &r, &err);
    bool good = status == RS_OK && rs_recipe_equal(r, s->recipe);
    if (!good) printf("  after \"%s\": %s\n", after, err.msg);
    rs_recipe_free(r);
    return good;
}

/* In order, then in an order that differs each time, from one state to the next. */
static void every_edit_reads_again(void)
{
    rs_rng rng = rs_rng_stream(5, 0);
    T_TRUE(open_demo(120, 40, UI_GLYPHS_BRAILLE));
    for (int i = 0; i < 4 * N_EDITS; i++) {
        const char *edit = edits[i < N_EDITS ? i : (int)(rs_rng_next(&rng) % N_EDITS)];
        line(edit);
        key("Esc");
        if (!reads_again(edit)) T_FAIL("not read again after \"%s\"", edit);
    }
    close_app();
}

static void a_heal_goes_back_to_weight(void)
{
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    line("heal delta");
    line("heal weight");
    T_TRUE(ui_doc_is_saved(&app->doc));
    line("scale 0.2");
    T_SHOWS("scale 0.300 -> 0.200");
    line("write");
    T_SHOWS("saved as luchador-miniature v2");
    close_app();
}

/* A recipe that cannot be read again is refused with the parser's sentence. */
static void what_is_not_read_is_refused(void)
{
    rs_err err = {0};
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    rs_recipe *r = ui_doc_begin(&app->doc, &err);
    T_TRUE(r != NULL);
    rs_recipe_heal(r)->base = "it";
    T_TRUE(!ui_doc_commit(&app->doc, r, &err));
    T_TRUE(strstr(err.msg, "\"base\" does nothing in space \"weight\"") != NULL);
    T_TRUE(ui_doc_is_saved(&app->doc));
    close_app();
}

/* A recipe without a heal gets one toward a model, an adapter of its own, or a path. */
static void a_plain_recipe_is_healed(void)
{
    static const char *const sides[] = {"it", "sea", "sea delta"};
    T_TRUE(open_demo(120, 40, UI_GLYPHS_BRAILLE));
    T_TRUE(copy_recipe("naive-0.3"));
    line("load naive-0.3");
    char *plain = ui_strdup(app->doc.at.text);
    line("heal");
    T_SHOWS("this recipe has no heal: :heal MODEL");
    line("heal delta");
    T_SHOWS("name a model or an adapter, or its path, not \"delta\"");
    for (int i = 0; i < 3; i++) {
        char text[80];
        snprintf(text, sizeof text, "heal %s", sides[i]);
        line(text);
        T_SHOWS("with t 0.150: t slides it");
        const rs_recipe *r = app->doc.at.recipe;
        const rs_stage *heal = rs_recipe_heal(r);
        T_TRUE(heal && strcmp(r->output_stage, heal->name) == 0);
        const rs_model_entry *side = rs_recipe_model(r, heal->inputs[1].from);
        T_TRUE(side != NULL);
        T_TRUE(i ? side->adapter && side->on && !side->path : side->path != NULL);
        T_TRUE(heal->space_delta == (i == 2) && reads_again(text));
        T_TRUE(app->doc.at.plan != NULL);
        key("u");
        T_STR(app->doc.at.text, plain);
    }
    char cwd[2048], text[2300];
    snprintf(text, sizeof text, "heal %s/recipes/sparring/pt", getcwd(cwd, sizeof cwd));
    line(text);
    T_SHOWS("healed toward pt with t 0.150");
    T_TRUE(app->doc.at.plan != NULL);
    free(plain);
    close_app();
}

/* A subspace file, the mask by it, its words, and back again. */
static void a_mask_is_edited(void)
{
    static const struct {
        const char *line, *shows, *field;
    } rows[] = {
        {"mask", "mask sparring both 1.000", "by instruct/mean │ mask sparring both 1.000"},
        {"mask in 0.25", "mask sparring in 0.250", "mask sparring in 0.250 │ heal"},
        {"mask strength=0.75", "mask sparring in 0.750", "mask sparring in 0.750 │ heal"},
        {"mask strength=0.25", "mask sparring in 0.250", "mask sparring in 0.250 │ heal"},
        {"mask per_layer=on order=last", "in 0.250 by layer last", "by layer last │"},
        {"mask sparring out 1 per_layer=off", "mask sparring out 1.000 last",
         "out 1.000 last"},
        {"mask 1.5", "0 to 1, per_layer=on, order=last, or off, not \"1.5\"",
         "out 1.000 last"},
        {"mask nobody", "or off, not \"nobody\"", "out 1.000 last"},
        {"mask instruct", "or off, not \"instruct\"", "out 1.000 last"},
        {"mask block order=first", "mask sparring block 1.000", "block 1.000 │ heal"},
        {"mask off", "mask off", "by instruct/mean │ mask off │ heal"},
    };
    char cwd[2048], text[2300];
    T_TRUE(open_demo(120, 40, UI_GLYPHS_BRAILLE));
    line("mask both");
    T_SHOWS("a mask needs a subspace, and the recipe has none");
    snprintf(text, sizeof text, "add %s/tests/golden/subspace/sparring.safetensors",
             getcwd(cwd, sizeof cwd));
    line(text);
    T_SHOWS("subspace sparring is there: :mask sparring both masks by it");
    T_TRUE(app->doc.at.plan && rs_recipe_measure(app->doc.at.recipe, "sparring"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        line(rows[i].line);
        T_SHOWS(rows[i].shows);
        T_SHOWS(rows[i].field);
        T_TRUE(reads_again(rows[i].line) && app->doc.at.plan != NULL);
    }
    T_TRUE(rs_recipe_fuel(app->doc.at.recipe)->mask.by == NULL);
    key("u");
    T_EQ(rs_recipe_fuel(app->doc.at.recipe)->mask.side, RS_MASK_BLOCK);
    for (int i = 0; i < 7; i++)
        key("u");
    T_TRUE(rs_recipe_fuel(app->doc.at.recipe)->mask.by == NULL);
    T_TRUE(rs_recipe_measure(app->doc.at.recipe, "sparring") != NULL);
    close_app();
}

/* From the controls line: its field opens a list. */
static void the_mask_has_a_field(void)
{
    char cwd[2048], text[2300];
    T_TRUE(open_demo(120, 40, UI_GLYPHS_BRAILLE));
    snprintf(text, sizeof text, "add %s/tests/golden/subspace/sparring.safetensors",
             getcwd(cwd, sizeof cwd));
    line(text);
    app->focus = UI_FOCUS_CONTROLS;
    app->field = 4;
    key("Enter");
    T_SHOWS("keeps U^T x at 0: what a matrix puts out");
    key("Down");
    key("Enter");
    T_SHOWS("mask sparring in 1.000");
    app->field = 5;
    key("Enter");
    T_SHOWS("slerp of whole weights");
    key("Esc");
    close_app();
}

/* Without inputs there is nothing to normalise: the base is left. */
static void the_last_input_goes(void)
{
    char text[80];
    T_TRUE(open_demo(80, 24, UI_GLYPHS_BRAILLE));
    while (rs_recipe_fuel(app->doc.at.recipe)->n_inputs) {
        snprintf(text, sizeof text, "remove %s",
                 rs_recipe_fuel(app->doc.at.recipe)->inputs[0].from);
        line(text);
        T_SHOWS("is out of fuel");
    }
    line("weight sea =1");
    T_SHOWS("\"sea\" is no input of the stage; it has none");
    close_app();
}

T_MAIN(T_TEST(a_mask_is_edited), T_TEST(the_mask_has_a_field),
       T_TEST(every_edit_reads_again), T_TEST(a_heal_goes_back_to_weight),
       T_TEST(what_is_not_read_is_refused), T_TEST(the_last_input_goes),
       T_TEST(a_plain_recipe_is_healed))
