/* A safetensors file that appears when it is whole: and takes no name that another has taken. */
#include "base/os.h"
#include "store/tensor_file.h"
#include "tests/files.h"
#include "tests/t.h"

#include <unistd.h>

static const rs_write_tensor tensors[] = {{"a", RS_DTYPE_F32, 1, {2}}};

static rs_status begin(const char *path, bool force, bool resume, rs_tensor_file **f)
{
    static const float values[] = {1, 2};
    rs_write_plan plan = {.tensors = tensors, .n_tensors = 1, .force = force};
    RS_TRY(rs_tensor_file_new(path, &plan, resume, f, &t_err));
    return rs_tensor_file_write(*f, 0, 0, values, sizeof values, &t_err);
}

static bool says(const char *path, const char *text)
{
    rs_buf b = {0};
    bool same = rs_os_read_file(path, 1 << 20, &b, &t_err) == RS_OK &&
                strcmp(rs_buf_str(&b), text) == 0;
    rs_buf_free(&b);
    return same;
}

/* Without force, a file that appeared while ours was made stays, and so does ours. */
static void what_appeared_meanwhile_stays(void)
{
    const char *dir = t_folder(), *path = in_folder(dir, "f.safetensors");
    const char *part = in_folder(dir, "f.safetensors.partial/data");
    rs_tensor_file *f;
    T_OK(begin(path, false, false, &f));
    put_text(path, "another's");
    T_FAILS(rs_tensor_file_finish(f, &t_err), RS_E_EXISTS, "appeared in the meantime");
    rs_tensor_file_free(f);
    T_TRUE(says(path, "another's") && rs_os_kind(part) == RS_PATH_FILE);
    T_FAILS(begin(path, false, false, &f), RS_E_EXISTS, "--force replaces it");
    T_OK(rs_os_unlink(path, &t_err));
    T_OK(begin(path, false, true, &f));
    T_TRUE(rs_tensor_file_resumes(f));
    T_OK(rs_tensor_file_finish(f, &t_err));
    rs_tensor_file_free(f);
    T_TRUE(rs_os_kind(path) == RS_PATH_FILE && rs_os_kind(part) == RS_PATH_NONE);
}

static void force_replaces_it(void)
{
    const char *dir = t_folder(), *path = in_folder(dir, "f.safetensors");
    rs_tensor_file *f;
    T_OK(begin(path, true, false, &f));
    put_text(path, "another's");
    T_OK(rs_tensor_file_finish(f, &t_err));
    rs_tensor_file_free(f);
    T_TRUE(!says(path, "another's") && rs_os_kind(path) == RS_PATH_FILE);
}

/* The file a link leads to is replaced, the link stays; a link to nothing is refused. */
static void links(void)
{
    const char *dir = t_folder(), *path = in_folder(dir, "link");
    const char *target = in_folder(dir, "target");
    rs_tensor_file *f;
    T_EQ(symlink("target", path), 0);
    T_FAILS(begin(path, true, false, &f), RS_E_INVALID, "link is a link to nothing");
    T_TRUE(rs_os_is_link(path) && rs_os_kind(target) == RS_PATH_NONE);
    put_text(target, "old");
    T_OK(begin(path, true, false, &f));
    T_OK(rs_tensor_file_finish(f, &t_err));
    rs_tensor_file_free(f);
    T_TRUE(rs_os_is_link(path) && !rs_os_is_link(target) && !says(target, "old"));
}

T_MAIN(T_TEST(what_appeared_meanwhile_stays), T_TEST(force_replaces_it), T_TEST(links))
