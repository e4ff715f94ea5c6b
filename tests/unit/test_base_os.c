#include "base/limits.h"
#include "base/os.h"
#include "tests/files.h"
#include "tests/t.h"

#include <errno.h>
#include <signal.h>

static void reads_are_whole(void)
{
    const char *dir = t_folder(), *path = in_folder(dir, "f");
    int fd;
    uint64_t size;
    char got[8] = "";
    put_text(path, "0123456789");
    T_OK(rs_os_open(path, &fd, &size, &t_err));
    T_EQ(size, 10);
    T_OK(rs_os_read(fd, path, 3, got, 4, &t_err));
    T_STR(got, "3456");
    T_OK(rs_os_read(fd, path, 10, got, 0, &t_err));
    T_FAILS(rs_os_read(fd, path, 8, got, 4, &t_err), RS_E_IO,
            "the file ends at 10, 4 bytes from 8 were expected");
    rs_os_close(fd);
    rs_os_close(-1);
}

static void opens_only_files(void)
{
    const char *dir = t_folder();
    int fd;
    T_FAILS(rs_os_open(in_folder(dir, "none"), &fd, NULL, &t_err), RS_E_NOT_FOUND,
            "none");
    T_FAILS(rs_os_open(dir, &fd, NULL, &t_err), RS_E_IO, "not a regular file");
    const char *pipe_path = in_folder(dir, "pipe");
    T_EQ(mkfifo(pipe_path, 0600), 0);
    T_FAILS(rs_os_open(pipe_path, &fd, NULL, &t_err), RS_E_IO, "not a regular file");
    const char *loop = in_folder(dir, "loop");
    T_EQ(symlink("loop", loop), 0);
    T_FAILS(rs_os_open(loop, &fd, NULL, &t_err), RS_E_IO, "loop: Too many levels");
    T_EQ(rs_os_kind(loop), RS_PATH_NONE);
    T_EQ(rs_os_kind(dir), RS_PATH_FOLDER);
}

/* The least limit of the group and those above it counts, of either version. */
static void memory_is_what_the_group_may_use(void)
{
    const char *dir = t_folder();
    const char *groups = in_folder(dir, "proc/self/cgroup");
    uint64_t machine = rs_os_memory(in_folder(dir, "nothing"));
    T_TRUE(machine > 64 << 20);
    T_TRUE(rs_os_memory("") <= machine);
    T_OK(rs_os_mkdir(in_folder(dir, "proc/self"), &t_err));
    T_OK(rs_os_mkdir(in_folder(dir, "sys/fs/cgroup/a/b"), &t_err));
    T_OK(rs_os_mkdir(in_folder(dir, "sys/fs/cgroup/memory/job"), &t_err));
    put_text(groups, "0::/a/b\n");
    T_EQ(rs_os_memory(dir), machine);
    put_text(in_folder(dir, "sys/fs/cgroup/a/b/memory.max"), "max\n");
    T_EQ(rs_os_memory(dir), machine);
    put_text(in_folder(dir, "sys/fs/cgroup/a/memory.max"), "50000000\n");
    T_EQ(rs_os_memory(dir), 50000000);
    put_text(in_folder(dir, "sys/fs/cgroup/a/b/memory.max"), "40000000\n");
    T_EQ(rs_os_memory(dir), 40000000);
    put_text(in_folder(dir, "sys/fs/cgroup/memory/job/memory.limit_in_bytes"),
             "30000000\n");
    put_text(groups, "9:name=systemd:/\n4:cpu,memory:/job/gone\n0::/a\nnonsense\n");
    T_EQ(rs_os_memory(dir), 30000000);
    put_text(groups, "4:cpu:/job\n0::/elsewhere\n");
    T_EQ(rs_os_memory(dir), machine);
    put_text(in_folder(dir, "sys/fs/cgroup/memory.max"), "20000000\n");
    T_EQ(rs_os_memory(dir), 20000000);
    T_OK(rs_os_remove_tree(dir, &t_err));
}

static void lists_in_order(void)
{
    const char *dir = t_folder();
    rs_buf names = {0};
    int n = 0;
    put_text(in_folder(dir, "b"), "");
    put_text(in_folder(dir, "a"), "");
    put_text(in_folder(dir, ".c"), "");
    T_OK(rs_os_list(dir, &names, &n, &t_err));
    T_EQ(n, 3);
    T_EQ(memcmp(names.data, ".c\0a\0b", 7), 0);
    T_FAILS(rs_os_list(in_folder(dir, "none"), &names, &n, &t_err), RS_E_NOT_FOUND,
            "none");
    rs_buf_free(&names);
}

static void identity_changes_with_the_file(void)
{
    const char *dir = t_folder(), *path = in_folder(dir, "f");
    rs_file_id a, b;
    int fd;
    put_text(path, "one");
    T_OK(rs_os_open(path, &fd, NULL, &t_err));
    T_OK(rs_os_identity(fd, path, &a, &t_err));
    T_OK(rs_os_identity(fd, path, &b, &t_err));
    T_TRUE(a.device == b.device && a.inode == b.inode && a.mtime_ns == b.mtime_ns);
    put_text(path, "three");
    T_OK(rs_os_identity(fd, path, &b, &t_err));
    T_EQ(b.size, 5);
    T_EQ(a.size, 3);
}

static void folders_come_and_go(void)
{
    const char *dir = t_folder(), *deep = in_folder(dir, "a/b//c/");
    T_OK(rs_os_mkdir(deep, &t_err));
    T_OK(rs_os_mkdir(deep, &t_err)); /* again is fine */
    put_text(in_folder(dir, "a/b/c/file"), "x");
    put_text(in_folder(dir, "outside"), "x");
    T_EQ(symlink("../outside", in_folder(dir, "a/link")), 0);
    T_EQ(symlink(dir, in_folder(dir, "a/up")), 0);
    T_FAILS(rs_os_mkdir(in_folder(dir, "outside"), &t_err), RS_E_EXISTS, "not a folder");
    T_FAILS(rs_os_mkdir("", &t_err), RS_E_INVALID, "0 bytes");
    T_OK(rs_os_remove_tree(in_folder(dir, "a"), &t_err));
    T_EQ(rs_os_kind(in_folder(dir, "a")), RS_PATH_NONE);
    T_EQ(rs_os_kind(in_folder(dir, "outside")), RS_PATH_FILE); /* links: not followed */
    T_OK(rs_os_remove_tree(in_folder(dir, "a"), &t_err));
}

static void exchange_swaps(void)
{
    const char *dir = t_folder(), *a = in_folder(dir, "a"), *b = in_folder(dir, "b");
    put_folder(a);
    put_folder(b);
    put_text(in_folder(a, "was-a"), "");
    T_OK(rs_os_exchange(a, b, &t_err));
    T_EQ(rs_os_kind(in_folder(b, "was-a")), RS_PATH_FILE);
    T_EQ(rs_os_kind(in_folder(a, "was-a")), RS_PATH_NONE);
    T_FAILS(rs_os_exchange(a, in_folder(dir, "c"), &t_err), RS_E_NOT_FOUND, "exchange");
}

static void a_new_name_replaces_nothing(void)
{
    const char *dir = t_folder(), *a = in_folder(dir, "a"), *b = in_folder(dir, "b");
    put_text(a, "a");
    put_text(b, "b");
    T_FAILS(rs_os_rename_new(a, b, &t_err), RS_E_EXISTS, "appeared in the meantime");
    T_STR(get_file(b).data, "b");
    T_OK(rs_os_rename_new(a, in_folder(dir, "c"), &t_err));
    T_EQ(rs_os_kind(a), RS_PATH_NONE);
    T_FAILS(rs_os_rename_new(a, in_folder(dir, "d"), &t_err), RS_E_NOT_FOUND, "rename");
}

static void a_locked_folder_stays_locked(void)
{
    const char *dir = t_folder(), *path = in_folder(dir, "out.partial");
    int fd, second;
    T_OK(rs_os_lock_folder(path, &fd, &t_err));
    T_FAILS(rs_os_lock_folder(path, &second, &t_err), RS_E_EXISTS, "another process");
    T_EQ(second, -1);
    T_OK(rs_os_rename(path, in_folder(dir, "out"), &t_err));
    T_OK(rs_os_lock_folder(path, &second, &t_err)); /* a new folder of that name */
    rs_os_close(second);
    rs_os_close(fd);
    T_OK(rs_os_lock_folder(path, &fd, &t_err));
    rs_os_close(fd);
}

static void files_appear_whole(void)
{
    const char *dir = t_folder(), *path = in_folder(dir, "recipe.json");
    rs_buf names = {0};
    int n = 0;
    T_OK(rs_os_write_file(path, "old", 3, &t_err));
    long before = rs_os_write_calls();
    T_OK(rs_os_write_file(path, "newer", 5, &t_err));
    long calls = rs_os_write_calls() - before;
    T_TRUE(calls >= 4); /* create, write, sync, rename, sync of the folder */
    for (long k = 1; k <= calls; k++) {
        T_OK(rs_os_write_file(path, "old", 3, &t_err));
        rs_os_faults(k, ENOSPC, false);
        rs_status s = rs_os_write_file(path, "newer", 5, &t_err);
        rs_os_faults(0, 0, false);
        T_EQ(s, RS_E_IO);
        T_TRUE(strstr(t_err.msg, "No space left on device") != NULL);
        rs_buf text = get_file(path);
        T_STR(rs_buf_str(&text), k < calls ? "old" : "newer");
        T_OK(rs_os_list(dir, &names, &n, &t_err));
        T_EQ(n, 1); /* no temporary file is left */
        rs_buf_free(&names);
    }
}

static void faults_can_kill(void)
{
    const char *dir = t_folder(), *path = in_folder(dir, "f");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        rs_err e;
        rs_os_faults(2, 0, true);
        _exit(rs_os_write_file(path, "x", 1, &e) == RS_OK ? 0 : 1);
    }
    int status = 0;
    T_EQ(waitpid(pid, &status, 0), pid);
    T_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    T_EQ(rs_os_kind(path), RS_PATH_NONE);
}

static void copies(void)
{
    const char *dir = t_folder();
    size_t n = 9 * 1024 * 1024 + 17;
    char *data = malloc(n);
    for (size_t i = 0; i < n; i++)
        data[i] = (char)(i * 31 >> 3);
    put_file(in_folder(dir, "a"), data, n);
    T_OK(rs_os_copy(in_folder(dir, "a"), in_folder(dir, "b"), &t_err));
    rs_buf b = get_file(in_folder(dir, "b"));
    T_TRUE(b.len == n && memcmp(b.data, data, n) == 0);
    T_FAILS(rs_os_copy(in_folder(dir, "none"), in_folder(dir, "c"), &t_err),
            RS_E_NOT_FOUND, "none");
    T_EQ(rs_os_kind(in_folder(dir, "c")), RS_PATH_NONE);
    uint64_t room = 0;
    T_OK(rs_os_free_bytes(dir, &room, &t_err));
    T_TRUE(room > 0);
    free(data);
}

static void paths(void)
{
    char p[16];
    T_TRUE(rs_path_join(p, sizeof p, "a", "b"));
    T_STR(p, "a/b");
    T_TRUE(rs_path_join(p, sizeof p, "a/", "b"));
    T_STR(p, "a/b");
    T_TRUE(rs_path_join(p, sizeof p, "", "b"));
    T_STR(p, "b");
    T_TRUE(rs_path_join(p, sizeof p, "a", "/b"));
    T_STR(p, "/b");
    T_TRUE(!rs_path_join(p, sizeof p, "12345678", "12345678"));
    T_TRUE(rs_path_dirname(p, sizeof p, "a/b/c") && strcmp(p, "a/b") == 0);
    T_TRUE(rs_path_dirname(p, sizeof p, "c") && strcmp(p, ".") == 0);
    T_TRUE(rs_path_dirname(p, sizeof p, "/c") && strcmp(p, "/") == 0);
    T_STR(rs_path_basename("a/b"), "b");
    T_STR(rs_path_basename("b"), "b");
}

static void files_are_read_to_their_end(void)
{
    const char *dir = t_folder(), *path = in_folder(dir, "f");
    rs_buf b = {0};
    put_text(path, "0123456789");
    T_OK(rs_os_read_file(path, 10, &b, &t_err));
    T_OK(rs_os_read_file(path, 10, &b, &t_err)); /* appended */
    T_STR(rs_buf_str(&b), "01234567890123456789");
    T_FAILS(rs_os_read_file(path, 9, &b, &t_err), RS_E_FORMAT,
            "f has 10 bytes or more, at most 9 are accepted");
    /* the kernel's say that they have no bytes */
    T_FAILS(rs_os_read_file("/proc/self/status", 9, &b, &t_err), RS_E_FORMAT, "at most 9");
    T_EQ(b.len, 20);
    T_OK(rs_os_read_file("/proc/self/status", 1 << 16, &b, &t_err));
    T_TRUE(strncmp(b.data + 20, "Name:", 5) == 0);
    put_text(path, "");
    rs_buf_reset(&b);
    T_OK(rs_os_read_file(path, 0, &b, &t_err));
    T_TRUE(b.len == 0 && b.data);
    rs_buf_free(&b);
}

static void real_paths(void)
{
    const char *dir = t_folder();
    char p[4096], top[4096], small[8], longer[5000];
    T_OK(rs_os_real_path(top, sizeof top, dir, &t_err));
    T_OK(rs_os_mkdir(in_folder(dir, "a"), &t_err));
    T_EQ(symlink("a", in_folder(dir, "to_a")), 0);
    T_EQ(symlink("nowhere", in_folder(dir, "to_nothing")), 0);
    T_EQ(symlink("loop", in_folder(dir, "loop")), 0);
    T_OK(rs_os_real_path(p, sizeof p, in_folder(dir, "to_a//b/c"), &t_err));
    T_STR(p, in_folder(top, "a/b/c"));
    T_OK(rs_os_real_path(p, sizeof p, "no/such/folder", &t_err));
    T_TRUE(p[0] == '/' && strstr(p, "/no/such/folder"));
    T_OK(rs_os_real_path(p, sizeof p, "/no_such", &t_err));
    T_STR(p, "/no_such");
    static const char *const odd[] = {"to_nothing", "to_nothing/", "to_nothing//b", "loop"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        T_FAILS(rs_os_real_path(p, sizeof p, in_folder(dir, odd[i]), &t_err),
                RS_E_INVALID, i < 3 ? "/to_nothing is a link to nothing" : "/loop is a");
    T_FAILS(rs_os_real_path(small, sizeof small, dir, &t_err), RS_E_INVALID, "too long");
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    T_FAILS(rs_os_real_path(p, sizeof p, longer, &t_err), RS_E_INVALID, "too long");
}

static void confinement(void)
{
    static const char *const good[] = {
        "a",       "a/b", "a..b", "..a",
        "a/..b/c", ".",   "...",  "model-00001-of-00002.safetensors"};
    static const char *const bad[] = {"",     "/a",     "..",   "../a",
                                      "a/..", "a/../b", "a//b", "a/"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        T_TRUE(rs_path_is_confined(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        T_TRUE(!rs_path_is_confined(bad[i]));
}

T_MAIN(T_TEST(reads_are_whole), T_TEST(opens_only_files),
       T_TEST(memory_is_what_the_group_may_use), T_TEST(lists_in_order),
       T_TEST(identity_changes_with_the_file), T_TEST(folders_come_and_go),
       T_TEST(exchange_swaps), T_TEST(a_new_name_replaces_nothing),
       T_TEST(a_locked_folder_stays_locked), T_TEST(files_appear_whole),
       T_TEST(faults_can_kill), T_TEST(copies), T_TEST(paths), T_TEST(files_are_read_to_their_end),
       T_TEST(real_paths), T_TEST(confinement))
