/* checkpoint_internal.h - what the files of core/store share about an open checkpoint. */
#ifndef RS_CHECKPOINT_INTERNAL_H
#define RS_CHECKPOINT_INTERNAL_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/map.h"
#include "store/checkpoint.h"
#include "store/gguf.h"
#include "store/safetensors.h"
#include "tensor/kernels.h"

typedef struct rs_store_file {
    const char *path;
    int fd;
    uint64_t size;
    rs_hash128 header; /* of the header's bytes */
} rs_store_file;

struct rs_checkpoint {
    rs_arena arena; /* every string and table below */
    const char *path, *folder;
    rs_layout layout;
    rs_store_file *files;
    int n_files;
    rs_tensor *tensors;
    int n_tensors, cap_tensors;
    rs_map by_name;
    const rs_string_pair *metadata;
    int n_metadata;
    uint64_t bytes;
    rs_gguf *gguf;
    const rs_kernels *kernels;
};

/* Room for n files; then each is opened by its path, which must stay (arena). */
rs_status rs_ckpt_files(rs_checkpoint *c, int n, rs_err *err);
rs_status rs_ckpt_open_file(rs_checkpoint *c, int i, const char *path, rs_err *err);
/* Appends a tensor; a name that is there already is an error naming both files. */
rs_status rs_ckpt_add(rs_checkpoint *c, const rs_tensor *t, rs_err *err);
/* Reads the header of safetensors file i and appends its tensors. owner may be NULL; else
 * tensors that it gives to another file number are left out. */
rs_status rs_ckpt_add_safetensors(rs_checkpoint *c, int i, const rs_map *owner,
                                  rs_err *err);
/* Refuses names and contents of pickle files, which can run code when they are loaded. */
rs_status rs_ckpt_refuse_pickle(const char *path, rs_err *err);

/* folder.c */
rs_status rs_ckpt_open_folder(rs_checkpoint *c, rs_err *err);
rs_status rs_ckpt_open_index(rs_checkpoint *c, const char *index, rs_err *err);

#endif
