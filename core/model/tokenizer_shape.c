#include "model/tokenizer_internal.h"

#include <string.h>

static const char space_mark[] = "\xe2\x96\x81"; /* U+2581 */

static bool string_is(const rs_json *o, const char *key, const char *want)
{
    const char *s = rs_json_string(rs_json_get(o, key));
    return s && strcmp(s, want) == 0;
}

static const char *type_of(const rs_json *part)
{
    const char *type = rs_json_string(rs_json_get(part, "type"));
    return type ? type : "without a type";
}

static bool pattern_is(const rs_json *part, const char *want)
{
    return string_is(rs_json_get(part, "pattern"), "String", want);
}

static bool replaces(const rs_json *part, const char *from, const char *to)
{
    return string_is(part, "type", "Replace") && pattern_is(part, from) &&
           string_is(part, "content", to);
}

/* A Sequence of one part stands for that part. */
static const rs_json *only_part(const rs_json *part, const char *list)
{
    const rs_json *parts = rs_json_get(part, list);
    bool one = string_is(part, "type", "Sequence") && rs_json_count(parts) == 1;
    return one ? rs_json_first(parts) : part;
}

/* Spaces become U+2581 in one place: the normalizer's Replace, with or without a Prepend
 * before it, or the pre_tokenizer's Metaspace. */
static rs_status read_normalizer(rs_tokenizer *t, const rs_json *part, bool *replaced,
                                 rs_err *err)
{
    const rs_json *list = rs_json_get(part, "normalizers"), *first = rs_json_first(list);
    *replaced = !rs_json_is_null(part);
    if (!*replaced) return RS_OK;
    bool two = string_is(part, "type", "Sequence") && rs_json_count(list) == 2;
    if (two && string_is(first, "type", "Prepend") &&
        string_is(first, "prepend", space_mark) &&
        replaces(rs_json_next(first), " ", space_mark)) {
        t->prefix = RS_PREFIX_EVERY;
        t->prefix_doubles = true;
        return RS_OK;
    }
    if (replaces(only_part(part, "normalizers"), " ", space_mark)) return RS_OK;
    return rs_fail(err, RS_E_UNSUPPORTED,
                   "the normalizer %s is not supported (only the one that replaces a "
                   "space by U+2581 is, also behind a Prepend of U+2581)",
                   type_of(only_part(part, "normalizers")));
}

static bool is_metaspace(const rs_json *part, const char *mark)
{
    return string_is(part, "type", "Metaspace") && string_is(part, "replacement", mark);
}

/* Older files say add_prefix_space for always and never. */
static rs_status read_metaspace(rs_tokenizer *t, const rs_json *part, rs_err *err)
{
    const rs_json *old = rs_json_get(part, "add_prefix_space");
    const char *scheme = rs_json_string(rs_json_get(part, "prepend_scheme"));
    const rs_json *split = rs_json_get(part, "split");
    if (!scheme) scheme = !old || rs_json_true(old) ? "always" : "never";
    if (strcmp(scheme, "first") != 0 && strcmp(scheme, "always") != 0 &&
        strcmp(scheme, "never") != 0)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "the Metaspace prepend_scheme \"%.40s\" is not supported (first, "
                       "always and never are)",
                       scheme);
    bool adds = strcmp(scheme, "never") != 0;
    if (adds && t->prefix != RS_PREFIX_NONE)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "a tokenizer whose normalizer and pre_tokenizer both put a space "
                       "before the text is not supported");
    if (adds) t->prefix = scheme[0] == 'f' ? RS_PREFIX_FIRST : RS_PREFIX_EVERY;
    t->cuts_at_spaces = !split || rs_json_true(split);
    return RS_OK;
}

/* After the normalizer there is no space, so splitting at spaces does nothing. */
static rs_status read_pre_tokenizer(rs_tokenizer *t, const rs_json *part, bool replaced,
                                    rs_err *err)
{
    part = only_part(part, "pretokenizers");
    if (is_metaspace(part, space_mark)) return read_metaspace(t, part, err);
    if (!replaced)
        return rs_fail(
            err, RS_E_UNSUPPORTED,
            "a tokenizer without a normalizer is not supported (only the one that "
            "replaces a space by U+2581 is, or a Metaspace as pre_tokenizer)");
    if (rs_json_is_null(part)) return RS_OK;
    if (string_is(part, "type", "Split") && pattern_is(part, " ") &&
        !rs_json_true(rs_json_get(part, "invert")))
        return RS_OK;
    return rs_fail(err, RS_E_UNSUPPORTED,
                   "the pre_tokenizer %s is not supported (only Split at a space and "
                   "Metaspace are)",
                   type_of(part));
}

static bool int_is(const rs_json *o, const char *key, double want)
{
    const rs_json *v = rs_json_get(o, key);
    return rs_json_is_number(v) && rs_json_number(v) == want;
}

static bool strips_one(const rs_json *d)
{
    return string_is(d, "type", "Strip") && string_is(d, "content", " ") &&
           int_is(d, "start", 1) && int_is(d, "stop", 0);
}

static rs_status read_decoder(rs_tokenizer *t, const rs_json *part, rs_err *err)
{
    const rs_json *d = rs_json_first(rs_json_get(part, "decoders"));
    bool ok = string_is(part, "type", "Sequence") && replaces(d, space_mark, " ");
    d = rs_json_next(d);
    ok = ok && string_is(d, "type", "ByteFallback");
    d = rs_json_next(d);
    ok = ok && string_is(d, "type", "Fuse");
    d = rs_json_next(d);
    t->strips_space = ok && d && strips_one(d);
    ok = ok && (!d || (t->strips_space && !rs_json_next(d)));
    if (ok) return RS_OK;
    return rs_fail(
        err, RS_E_UNSUPPORTED,
        "the decoder %s is not supported (only Replace, ByteFallback, Fuse is, also with "
        "a Strip of one space at the start)",
        type_of(part));
}

static rs_status read_units(rs_tokenizer *t, const rs_tokenizer_parts *parts, rs_err *err)
{
    bool replaced;
    RS_TRY(read_normalizer(t, parts->normalizer, &replaced, err));
    RS_TRY(read_pre_tokenizer(t, parts->pre_tokenizer, replaced, err));
    return read_decoder(t, parts->decoder, err);
}

/* The id of a TemplateProcessing's special token. */
static rs_status template_id(const rs_tokenizer *t, const rs_json *part, const char *name,
                             int32_t *id, rs_err *err)
{
    const rs_json *ids =
        rs_json_get(rs_json_get(rs_json_get(part, "special_tokens"), name), "ids");
    if (rs_json_count(ids) != 1)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "the post_processor's \"%s\" does not stand for one id", name);
    int64_t v;
    RS_TRY(rs_json_as_int(rs_json_first(ids), 0, RS_MAX_PIECES, "the post_processor's id",
                          &v, err));
    if (v >= t->pieces.n || !rs_piece_is(&t->pieces, (int32_t)v, RS_PIECE_PRESENT))
        return rs_fail(err, RS_E_FORMAT,
                       "the post_processor's \"%s\" is not in the vocabulary", name);
    *id = (int32_t)v;
    return RS_OK;
}

/* A ByteLevel among the processors only moves offsets. */
static const rs_json *but_byte_level(const rs_json *part)
{
    if (string_is(part, "type", "ByteLevel")) return NULL;
    const rs_json *list = rs_json_get(part, "processors"), *other = NULL;
    if (!string_is(part, "type", "Sequence")) return part;
    for (const rs_json *p = rs_json_first(list); p; p = rs_json_next(p)) {
        if (string_is(p, "type", "ByteLevel")) continue;
        if (other) return part; /* more than one: refused as a Sequence */
        other = p;
    }
    return other;
}

/* Only the form for a single text counts: [bos] text. */
static rs_status check_post_processor(rs_tokenizer *t, const rs_json *part, rs_err *err)
{
    part = but_byte_level(part);
    if (rs_json_is_null(part)) return RS_OK;
    if (!string_is(part, "type", "TemplateProcessing"))
        return rs_fail(
            err, RS_E_UNSUPPORTED,
            "the post_processor %s is not supported (only TemplateProcessing is)",
            type_of(part));
    const rs_json *step = rs_json_first(rs_json_get(part, "single"));
    const char *bos =
        rs_json_string(rs_json_get(rs_json_get(step, "SpecialToken"), "id"));
    if (bos) {
        RS_TRY(template_id(t, part, bos, &t->bos, err));
        t->adds_bos = true;
        step = rs_json_next(step);
    }
    if (!rs_json_get(step, "Sequence") || rs_json_next(step))
        return rs_fail(
            err, RS_E_UNSUPPORTED,
            "the post_processor does not put one token, or none, before the text "
            "and nothing behind it");
    return RS_OK;
}

static rs_status check_model(const rs_tokenizer_parts *p, bool byte_level, rs_err *err)
{
    if (strcmp(p->model_type, "BPE") != 0)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "the tokenizer model %s is not supported (only BPE is)",
                       p->model_type[0] ? p->model_type : "without a type");
    if (p->has_dropout)
        return rs_fail(err, RS_E_UNSUPPORTED, "BPE with dropout is not supported");
    if (p->has_affixes)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "BPE with a subword prefix or a word suffix is not supported");
    if (byte_level) return RS_OK;
    if (!p->byte_fallback)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "BPE without byte_fallback and not byte-level is not supported");
    if (p->ignore_merges)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "BPE with ignore_merges that is not byte-level is not supported");
    return RS_OK;
}

rs_status rs_tokenizer_check_shape(rs_tokenizer *t, const rs_tokenizer_parts *parts,
                                   rs_err *err)
{
    bool bytes = rs_byte_level_is(parts->pre_tokenizer);
    RS_TRY(check_model(parts, bytes, err));
    if (bytes) {
        RS_TRY(rs_byte_level_new(&t->byte_level, parts->ignore_merges, err));
        RS_TRY(rs_byte_level_read(t->byte_level, parts->normalizer, parts->pre_tokenizer,
                                  parts->decoder, err));
    } else {
        RS_TRY(read_units(t, parts, err));
    }
    return check_post_processor(t, parts->post_processor, err);
}
