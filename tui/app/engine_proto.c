#include "tui/app/engine_proto.h"

#include "base/bytes.h"
#include "tui/app/look.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { NO_STRING = 0x7fffffff, READ_CHUNK = 64 * 1024, EVENT_TAG = 0x45 };

/* --- writing --- */

static void put_u32(rs_buf *b, uint32_t v)
{
    unsigned char bytes[4];
    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(v >> (8 * i));
    rs_buf_add(b, bytes, sizeof bytes);
}

static void put_u64(rs_buf *b, uint64_t v)
{
    put_u32(b, (uint32_t)v);
    put_u32(b, (uint32_t)(v >> 32));
}

static void put_double(rs_buf *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_u64(b, bits);
}

static void put_bytes(rs_buf *b, const char *s, size_t n)
{
    if (!s || n >= NO_STRING) {
        put_u32(b, NO_STRING);
        return;
    }
    put_u32(b, (uint32_t)n);
    rs_buf_add(b, s, n);
    rs_buf_putc(b, 0);
}

static void put_string(rs_buf *b, const char *s)
{
    put_bytes(b, s, s ? strlen(s) : 0);
}

/* The length goes in front once it is known. */
static size_t begin_frame(rs_buf *b)
{
    put_u32(b, 0);
    return b->len;
}

static void end_frame(rs_buf *b, size_t start)
{
    if (b->failed) return;
    uint32_t n = (uint32_t)(b->len - start);
    for (int i = 0; i < 4; i++)
        b->data[start - 4 + (size_t)i] = (char)(unsigned char)(n >> (8 * i));
}

void ui_command_encode(const ui_engine_command *c, rs_buf *out)
{
    size_t start = begin_frame(out);
    rs_buf_putc(out, (char)c->kind);
    rs_buf_putc(out, (char)c->slot);
    rs_buf_putc(out, (char)((c->full ? 1 : 0) | (c->keep ? 2 : 0) | (c->fixed ? 4 : 0)));
    rs_buf_putc(out, (char)c->what);
    put_u64(out, c->serial);
    put_u64(out, c->run);
    put_string(out, c->text);
    put_string(out, c->folder);
    put_string(out, c->stage);
    put_string(out, c->prompt);
    put_string(out, c->sampler);
    put_bytes(out, c->prior, c->prior ? 4 * (size_t)c->n_prior : 0);
    end_frame(out, start);
}

void ui_event_encode(const ui_engine_event *e, rs_buf *out)
{
    size_t start = begin_frame(out);
    rs_buf_putc(out, EVENT_TAG);
    rs_buf_putc(out, (char)e->what);
    rs_buf_putc(out, (char)e->slot);
    rs_buf_putc(out, (char)((e->last ? 1 : 0) | (e->replaced ? 2 : 0)));
    put_u64(out, e->serial);
    put_u64(out, e->run);
    put_u64(out, (uint64_t)e->done);
    put_u64(out, (uint64_t)e->total);
    put_u64(out, (uint64_t)e->index);
    put_u32(out, (uint32_t)e->id);
    put_double(out, e->logprob);
    put_double(out, e->tokens_per_second);
    put_bytes(out, e->text, e->n_text);
    put_bytes(out, (const char *)e->sums, (size_t)e->n_sums * sizeof *e->sums);
    end_frame(out, start);
}

/* --- reading --- */

typedef struct reader {
    const char *p;
    size_t left;
    bool bad;
} reader;

static const char *take(reader *r, size_t n)
{
    if (r->bad || r->left < n) {
        r->bad = true;
        return NULL;
    }
    const char *p = r->p;
    r->p += n;
    r->left -= n;
    return p;
}

static unsigned get_byte(reader *r, unsigned limit)
{
    const char *p = take(r, 1);
    unsigned v = p ? (unsigned char)*p : 0;
    if (v >= limit) r->bad = true;
    return v;
}

static uint32_t get_u32(reader *r)
{
    const char *p = take(r, 4);
    return p ? rs_le32(p) : 0;
}

static uint64_t get_u64(reader *r)
{
    const char *p = take(r, 8);
    return p ? rs_le64(p) : 0;
}

static double get_double(reader *r)
{
    uint64_t bits = get_u64(r);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static const char *get_bytes(reader *r, size_t *n)
{
    uint32_t len = get_u32(r);
    *n = 0;
    if (r->bad || len == NO_STRING) return NULL;
    const char *s = take(r, (size_t)len + 1);
    if (!s || s[len] != 0) {
        r->bad = true;
        return NULL;
    }
    *n = len;
    return s;
}

/* A string without zero bytes inside. */
static const char *get_string(reader *r)
{
    size_t n;
    const char *s = get_bytes(r, &n);
    if (s && strlen(s) != n) r->bad = true;
    return s;
}

bool ui_command_decode(const char *frame, size_t n, ui_engine_command *c)
{
    reader r = {frame, n, false};
    memset(c, 0, sizeof *c);
    c->kind = (ui_command_kind)get_byte(&r, UI_N_CMDS);
    c->slot = (int)get_byte(&r, UI_ENGINE_SLOTS);
    unsigned flags = get_byte(&r, 8);
    c->full = flags & 1;
    c->keep = flags & 2;
    c->fixed = flags & 4;
    c->what = (int)get_byte(&r, UI_N_LOOKS);
    c->serial = get_u64(&r);
    c->run = get_u64(&r);
    c->text = get_string(&r);
    c->folder = get_string(&r);
    c->stage = get_string(&r);
    c->prompt = get_string(&r);
    c->sampler = get_string(&r);
    size_t n_prior;
    c->prior = get_bytes(&r, &n_prior);
    c->n_prior = (uint32_t)(n_prior / 4);
    bool needs = c->kind == UI_CMD_FOLLOW ? c->text != NULL : true;
    if (c->kind == UI_CMD_GENERATE) needs = c->prompt != NULL;
    return !r.bad && r.left == 0 && n_prior % 4 == 0 && needs;
}

int32_t ui_prior_id(const ui_engine_command *c, uint32_t i)
{
    return (int32_t)rs_le32(c->prior + 4 * (size_t)i);
}

bool ui_event_decode(const char *frame, size_t n, rs_buf *sums, ui_engine_event *e)
{
    reader r = {frame, n, false};
    memset(e, 0, sizeof *e);
    if (get_byte(&r, 256) != EVENT_TAG) return false;
    e->what = (ui_engine_what)get_byte(&r, UI_ENGINE_DIED + 1);
    e->slot = (int)get_byte(&r, UI_ENGINE_SLOTS);
    unsigned flags = get_byte(&r, 4);
    e->last = flags & 1;
    e->replaced = flags & 2;
    e->serial = get_u64(&r);
    e->run = get_u64(&r);
    e->done = (int64_t)get_u64(&r);
    e->total = (int64_t)get_u64(&r);
    e->index = (int64_t)get_u64(&r);
    e->id = (int32_t)get_u32(&r);
    e->logprob = get_double(&r);
    e->tokens_per_second = get_double(&r);
    e->text = get_bytes(&r, &e->n_text);
    size_t n_bytes;
    const char *raw = get_bytes(&r, &n_bytes);
    if (r.bad || r.left != 0 || n_bytes % sizeof *e->sums != 0) return false;
    rs_buf_reset(sums);
    rs_buf_add(sums, raw ? raw : "", n_bytes);
    if (sums->failed) return false;
    e->n_sums = (int)(n_bytes / sizeof *e->sums);
    e->sums = e->n_sums ? (const rs_tensor_sums *)(const void *)sums->data : NULL;
    return true;
}

/* --- frames --- */

ui_frame_state ui_frames_next(ui_frames *f, const char **frame, size_t *n)
{
    size_t left = f->bytes.len - f->taken;
    if (left < 4) return UI_FRAME_NONE;
    uint32_t len = rs_le32(f->bytes.data + f->taken);
    if (len == 0 || len > UI_FRAME_MAX) return UI_FRAME_BROKEN;
    if (left - 4 < len) return UI_FRAME_NONE;
    *frame = f->bytes.data + f->taken + 4;
    *n = len;
    f->taken += 4 + (size_t)len;
    return UI_FRAME_READY;
}

/* What was given out leaves the buffer when more is read. */
static void drop_taken(ui_frames *f)
{
    if (f->taken == 0) return;
    size_t left = f->bytes.len - f->taken;
    memmove(f->bytes.data, f->bytes.data + f->taken, left + 1);
    f->bytes.len = left;
    f->taken = 0;
}

int ui_frames_read(ui_frames *f, int fd)
{
    char chunk[READ_CHUNK];
    drop_taken(f);
    while (f->bytes.len <= (size_t)UI_FRAME_MAX + 4) {
        ssize_t n = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
        if (n == 0) return 0;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 1 : -1;
        rs_buf_add(&f->bytes, chunk, (size_t)n);
        if (f->bytes.failed) return -1;
        if ((size_t)n < sizeof chunk) return 1;
    }
    return 1;
}

void ui_frames_free(ui_frames *f)
{
    rs_buf_free(&f->bytes);
    f->taken = 0;
}
