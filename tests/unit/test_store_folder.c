/* Folders: which files are taken, indices and shards, and names from the hub's cache. */
#include "store/checkpoint.h"
#include "store/hub.h"
#include "tests/files.h"
#include "tests/t.h"

static const char *dir;

#define TENSOR(name, from, to)                                                           \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" #from "," #to "]}"
#define ONE(name) "{" TENSOR(name, 0, 4) "}"
#define TWO(a, b) "{" TENSOR(a, 0, 4) "," TENSOR(b, 4, 8) "}"

static void golden_models_open(void)
{
    static const struct {
        const char *name;
        int n_tensors, n_files;
        const char *some;
    } cases[] = {
        {"gemma3", 54, 1, "model.layers.0.self_attn.q_norm.weight"},
        {"gemma4_e4b", 98, 1, "model.embed_tokens_per_layer.weight"},
        {"gemma4_e2b", 84, 1, "model.layers.4.layer_scalar"},
        {"gemma4_v64", 70, 1, "model.norm.weight"},
        {"gemma4_e4b_mm", 221, 3,
         "model.language_model.layers.3.self_attn.k_proj.weight"},
        {"llama", 30, 1, "lm_head.weight"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char below[64];
        rs_checkpoint *c;
        snprintf(below, sizeof below, "models/%s", cases[i].name);
        T_OK(rs_checkpoint_open(t_golden(below), &c, &t_err));
        T_EQ(rs_checkpoint_layout(c), RS_LAYOUT_FOLDER);
        T_EQ(rs_checkpoint_count(c), cases[i].n_tensors);
        T_EQ(rs_checkpoint_n_files(c), cases[i].n_files);
        T_TRUE(rs_checkpoint_find(c, cases[i].some) != NULL);
        T_STR(rs_checkpoint_metadata(c, "format"), "pt");
        T_STR(rs_checkpoint_folder(c), t_golden(below));
        rs_checkpoint_close(c);
    }
}

static void the_first_name_wins(void)
{
    dir = t_folder();
    rs_checkpoint *c;
    T_FAILS(rs_checkpoint_open(dir, &c, &t_err), RS_E_NOT_FOUND,
            "holds no model: looked for");
    put_safetensors(in_folder(dir, "fisher.safetensors"), ONE("f"), 4);
    T_OK(rs_checkpoint_open(dir, &c, &t_err)); /* the only one */
    T_TRUE(rs_checkpoint_find(c, "f") != NULL);
    rs_checkpoint_close(c);
    put_safetensors(in_folder(dir, "other.safetensors"), ONE("o"), 4);
    T_FAILS(rs_checkpoint_open(dir, &c, &t_err), RS_E_FORMAT,
            "holds 2 safetensors files");
    put_safetensors(in_folder(dir, "adapter_model.safetensors"), ONE("a"), 4);
    T_OK(rs_checkpoint_open(dir, &c, &t_err));
    T_TRUE(rs_checkpoint_find(c, "a") != NULL);
    rs_checkpoint_close(c);
    put_safetensors(in_folder(dir, "model.safetensors"), ONE("m"), 4);
    T_OK(rs_checkpoint_open(dir, &c, &t_err));
    T_TRUE(rs_checkpoint_find(c, "m") != NULL);
    rs_checkpoint_close(c);
    put_text(in_folder(dir, "model.safetensors.index.json"),
             "{\"weight_map\":{\"o\":\"other.safetensors\"}}");
    T_OK(rs_checkpoint_open(dir, &c, &t_err));
    T_TRUE(rs_checkpoint_find(c, "o") != NULL && rs_checkpoint_find(c, "m") == NULL);
    rs_checkpoint_close(c);
}

static void other_formats_get_advice(void)
{
    dir = t_folder();
    rs_checkpoint *c;
    put_text(in_folder(dir, "pytorch_model.bin"), "x");
    T_FAILS(rs_checkpoint_open(dir, &c, &t_err), RS_E_UNSUPPORTED,
            "holds its weights as pickle (pytorch_model.bin)");
    put_text(in_folder(dir, "tiny.gguf"), "x");
    T_FAILS(rs_checkpoint_open(dir, &c, &t_err), RS_E_NOT_FOUND,
            "/tiny.gguf to open the GGUF");
}

static rs_status open_index(const char *map, rs_checkpoint **c)
{
    rs_buf text = {0};
    rs_buf_printf(&text, "{\"metadata\":{\"total_size\":0},\"weight_map\":%s}", map);
    put_text(in_folder(dir, "model.safetensors.index.json"), text.data);
    rs_buf_free(&text);
    return rs_checkpoint_open(dir, c, &t_err);
}

static void shards_join(void)
{
    dir = t_folder();
    rs_checkpoint *c;
    put_safetensors(in_folder(dir, "s1.safetensors"), TWO("a", "b"), 8);
    put_safetensors(in_folder(dir, "s2.safetensors"), TWO("c", "b"), 8);
    T_OK(open_index(
        "{\"c\":\"s2.safetensors\",\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\"}",
        &c));
    T_EQ(rs_checkpoint_count(c), 3);
    T_EQ(rs_checkpoint_n_files(c), 2);
    T_STR(rs_checkpoint_at(c, 0)->name, "a");
    T_STR(rs_checkpoint_at(c, 1)->name, "c");
    T_EQ(rs_checkpoint_find(c, "b")->i_file, 1); /* as the index says */
    unsigned char raw[4];
    T_OK(rs_checkpoint_read_raw(c, rs_checkpoint_find(c, "b"), 0, 4, raw, &t_err));
    T_EQ(raw[0], 4);
    T_STR(rs_path_basename(rs_checkpoint_file(c, 1)), "s2.safetensors");
    rs_checkpoint_close(c);
    T_OK(rs_checkpoint_open(in_folder(dir, "model.safetensors.index.json"), &c, &t_err));
    T_EQ(rs_checkpoint_count(c), 3);
    T_STR(rs_checkpoint_folder(c), dir);
    rs_checkpoint_close(c);
}

static void unnamed_tensors_of_shards(void)
{
    dir = t_folder();
    rs_checkpoint *c;
    put_safetensors(in_folder(dir, "s1.safetensors"), TWO("a", "x"), 8);
    put_safetensors(in_folder(dir, "s2.safetensors"), TWO("c", "y"), 8);
    T_OK(open_index("{\"c\":\"s2.safetensors\",\"a\":\"s1.safetensors\"}", &c));
    T_TRUE(rs_checkpoint_find(c, "x") && rs_checkpoint_find(c, "y")); /* taken along */
    rs_checkpoint_close(c);
    put_safetensors(in_folder(dir, "s2.safetensors"), TWO("c", "x"), 8);
    T_FAILS(open_index("{\"c\":\"s2.safetensors\",\"a\":\"s1.safetensors\"}", &c),
            RS_E_FORMAT, "tensor x is in "); /* nobody says which one counts */
    T_TRUE(strstr(t_err.msg, "s2.safetensors") != NULL);
}

static void bad_indices(void)
{
    static const struct {
        const char *map;
        rs_status status;
        const char *says;
    } cases[] = {
        {"[]", RS_E_FORMAT, "no object \"weight_map\""},
        {"{}", RS_E_FORMAT, "names no tensor"},
        {"{\"a\":3}", RS_E_FORMAT, "the file of tensor a is not a string"},
        {"{\"a\":\"s1.safetensors\",\"a\":\"s1.safetensors\"}", RS_E_FORMAT, "twice"},
        {"{\"a\":\"s1.safetensors\",\"z\":\"s1.safetensors\"}", RS_E_FORMAT,
         "puts tensor z into s1.safetensors, which lacks it"},
        {"{\"a\":\"../s1.safetensors\"}", RS_E_FORMAT,
         "is not inside the index's folder"},
        {"{\"a\":\"/etc/passwd\"}", RS_E_FORMAT, "is not inside the index's folder"},
        {"{\"a\":\"x/../../s1.safetensors\"}", RS_E_FORMAT, "is not inside"},
        {"{\"a\":\"\"}", RS_E_FORMAT, "is not inside"},
        {"{\"a\":\"pytorch_model-00001.bin\"}", RS_E_UNSUPPORTED, "is a pickle file"},
        {"{\"a\":\"gone.safetensors\"}", RS_E_NOT_FOUND, "file 1 of 1 that"},
        {"{\"a\":\"bad.safetensors\"}", RS_E_FORMAT, "bad.safetensors"},
    };
    dir = t_folder();
    put_safetensors(in_folder(dir, "s1.safetensors"), ONE("a"), 4);
    put_text(in_folder(dir, "bad.safetensors"), "bad");
    int open_before = count_open_files();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rs_checkpoint *c;
        T_FAILS(open_index(cases[i].map, &c), cases[i].status, cases[i].says);
    }
    T_EQ(count_open_files(), open_before);
}

static void links_are_followed(void)
{
    dir = t_folder();
    rs_checkpoint *c;
    const char *snapshot = in_folder(dir, "snapshot");
    put_folder(snapshot);
    put_safetensors(in_folder(dir, "blob"), ONE("a"), 4);
    T_EQ(symlink("../blob", in_folder(snapshot, "model.safetensors")), 0);
    T_OK(rs_checkpoint_open(snapshot, &c, &t_err));
    T_EQ(rs_checkpoint_count(c), 1);
    rs_checkpoint_close(c);
}

/* ---- the hub's cache ---- */

static char found[4096];

static rs_status resolve(const char *what, const rs_hub *hub)
{
    return rs_model_path_resolve(what, hub, found, sizeof found, &t_err);
}

static const char *make_cache(void)
{
    const char *root = in_folder(dir, "hub");
    const char *repo = in_folder(root, "models--google--gemma-4-E4B-it");
    rs_status s = rs_os_mkdir(in_folder(repo, "snapshots/abc123"), &t_err);
    if (s == RS_OK) s = rs_os_mkdir(in_folder(repo, "snapshots/def456"), &t_err);
    if (s == RS_OK) s = rs_os_mkdir(in_folder(repo, "refs/pr"), &t_err);
    if (s == RS_OK)
        s = rs_os_mkdir(in_folder(root, "models--gpt2/snapshots/777"), &t_err);
    if (s == RS_OK) s = rs_os_mkdir(in_folder(root, "models--gpt2/refs"), &t_err);
    put_text(in_folder(repo, "refs/main"), "abc123\n");
    put_text(in_folder(repo, "refs/pr/1"), "def456");
    put_text(in_folder(repo, "refs/evil"), "../../../outside");
    put_text(in_folder(root, "models--gpt2/refs/main"), "777");
    return s == RS_OK ? root : NULL;
}

static void hub_names_resolve(void)
{
    dir = t_folder();
    rs_hub hub = {.root = make_cache()};
    T_TRUE(hub.root != NULL);
    T_OK(resolve("google/gemma-4-E4B-it", &hub));
    T_TRUE(strstr(found, "/hub/models--google--gemma-4-E4B-it/snapshots/abc123") != NULL);
    T_OK(resolve("google/gemma-4-E4B-it@main", &hub));
    T_TRUE(strstr(found, "/abc123") != NULL);
    T_OK(resolve("google/gemma-4-E4B-it@def456", &hub));
    T_TRUE(strstr(found, "/def456") != NULL);
    T_OK(resolve("google/gemma-4-E4B-it@pr/1", &hub));
    T_TRUE(strstr(found, "/def456") != NULL);
    T_OK(resolve("gpt2", &hub));
    T_TRUE(strstr(found, "models--gpt2/snapshots/777") != NULL);
}

static void hub_misses_are_explained(void)
{
    dir = t_folder();
    rs_hub hub = {.root = make_cache()};
    T_FAILS(resolve("google/gemma-5", &hub), RS_E_NOT_FOUND,
            "there is no file or folder google/gemma-5, nor revision main of "
            "models--google--gemma-5 in the Hugging Face cache");
    T_FAILS(resolve("google/gemma-4-E4B-it@beta", &hub), RS_E_NOT_FOUND,
            "revision beta of");
    T_FAILS(resolve("google/gemma-4-E4B-it@evil", &hub), RS_E_NOT_FOUND, "evil");
    T_FAILS(resolve("google/gemma-4-E4B-it@../refs", &hub), RS_E_NOT_FOUND,
            "no file or folder");
    T_FAILS(resolve("../hub/x", &hub), RS_E_NOT_FOUND, "no file or folder ../hub/x");
    T_FAILS(resolve("a/b/c", &hub), RS_E_NOT_FOUND, "no file or folder a/b/c");
    T_FAILS(resolve("", &hub), RS_E_INVALID, "empty path");
    T_FAILS(resolve("google/gemma", NULL), RS_E_NOT_FOUND, "google/gemma");
    T_FAILS(rs_model_path_resolve(dir, NULL, found, 5, &t_err), RS_E_INVALID, "too long");
}

static void paths_and_folders_come_first(void)
{
    dir = t_folder();
    const char *models = in_folder(dir, "models");
    T_OK(rs_os_mkdir(in_folder(models, "google/gemma"), &t_err));
    T_OK(rs_os_mkdir(in_folder(models, "mine"), &t_err));
    const char *const folders[] = {in_folder(dir, "none"), models};
    rs_hub hub = {.root = in_folder(dir, "no-cache"), .folders = folders, .n_folders = 2};
    T_OK(resolve(dir, &hub));
    T_STR(found, dir);
    T_OK(resolve("google/gemma", &hub));
    T_STR(found, in_folder(models, "google/gemma"));
    T_OK(resolve("mine", &hub));
    T_STR(found, in_folder(models, "mine"));
    T_OK(resolve("anybody/mine", &hub)); /* folders may leave the org out */
    T_STR(found, in_folder(models, "mine"));
    T_FAILS(resolve("google/gemma@v2", &hub), RS_E_NOT_FOUND, "revision v2");
    T_FAILS(resolve("google/other", &hub), RS_E_NOT_FOUND,
            "nor anything of that name in");
    T_EQ(chdir(models), 0);
    T_OK(resolve("google/gemma", NULL));
    T_STR(found, "google/gemma");
}

T_MAIN(T_TEST(golden_models_open), T_TEST(the_first_name_wins),
       T_TEST(other_formats_get_advice), T_TEST(shards_join),
       T_TEST(unnamed_tensors_of_shards), T_TEST(bad_indices), T_TEST(links_are_followed),
       T_TEST(hub_names_resolve), T_TEST(hub_misses_are_explained),
       T_TEST(paths_and_folders_come_first))
