/* recipe_internal.h - what the files of the recipe share. */
#ifndef RS_RECIPE_INTERNAL_H
#define RS_RECIPE_INTERNAL_H

#include "base/json.h"
#include "merge/make.h"

enum { RS_RECIPE_BYTES = 4 << 20, RS_RECIPE_ENTRIES = 256 };

extern const char *const rs_method_names[]; /* all that are known, built or not */
extern const int rs_n_method_names;
rs_method rs_method_of(const char *name); /* RS_METHOD_LATER for what is not built */

/* rs_recipe_fuel and rs_recipe_heal for another output stage. heal may be NULL. */
rs_stage *rs_recipe_fuel_of(const rs_recipe *r, rs_stage *out, rs_stage **heal);

rs_normaliser rs_normaliser_default(rs_dampen_kind k);

/* The parts of rs_recipe_parse. */
typedef struct rs_reader {
    rs_recipe *r;
    const char *what; /* how errors call the text */
    rs_err *err;
} rs_reader;

rs_status rs_read_no_memory(const rs_reader *p);
/* Unknown members of o are errors with a suggestion. o must be an object. */
rs_status rs_read_keys(const rs_reader *p, const rs_json *o, const char *where,
                       const char *const *known, int n_known);
rs_status rs_read_text(const rs_reader *p, const rs_json *o, const char *key,
                       const char *where, const char **out);
rs_status rs_read_later(const rs_reader *p, const rs_json *v, const char **out);
rs_status rs_read_stages(const rs_reader *p, const rs_json *list);
rs_status rs_read_gain(const rs_reader *p, const rs_json *v, const char *where,
                       rs_gain_spec *g);
rs_status rs_read_t(const rs_reader *p, const rs_json *v, const char *where,
                    rs_t_spec *t);
rs_status rs_read_dampen(const rs_reader *p, const rs_json *o, const char *where,
                         rs_dampen_spec *d);
/* name must be a model, an adapter or one of the first n_stages stages. */
rs_status rs_read_reference(const rs_reader *p, const char *name, int n_stages,
                            const char *where);
rs_status rs_read_measure(const rs_reader *p, const char *name, rs_measure_type type,
                          const char *where);

/* owner: "demo.json: measure "x"". out stays as it is where o is absent. */
rs_status rs_read_make(const rs_reader *p, const rs_json *o, const char *owner,
                       rs_make_type type, const rs_make **out);
/* What makes name is there, and nothing is made from itself. */
rs_status rs_check_makes(const rs_reader *p);

/* The canonical text of a make. path: writes a path of data as a JSON string; NULL: as it is. */
typedef void (*rs_make_path)(void *ctx, const char *path, rs_buf *b);
void rs_make_write(const rs_make *m, rs_make_path path, void *ctx, rs_buf *b);
void rs_make_say(const rs_make *m, const rs_make_key *k, rs_buf *b); /* one value */

#define RS_READ_KEYS(p, o, where, ...)                                                   \
    rs_read_keys(p, o, where, (const char *const[]){__VA_ARGS__},                        \
                 (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

/* The one spelling of path from folder: without "." and "..". false: it is too long. */
bool rs_path_plain(const char *folder, const char *path, char *dst, size_t size);
/* Writes path, which is relative to `from` unless absolute, relative to `to`. */
void rs_path_rebase(const char *from, const char *to, const char *path, char *dst,
                    size_t size);

#endif
