/* Fuzz target: what a terminal may send, in pieces and with silences, into messages. The
 * decoder stands alone, so it is compiled in here. */
#include "tui/term/keys.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void drain(ui_keys *k, double now)
{
    ui_msg m;
    while (ui_keys_next(k, now, &m)) {
        if (m.kind == UI_MSG_KEY && (m.key <= 0 || m.key >= 2 * UI_KEY_ALT)) abort();
        if (m.kind == UI_MSG_MOUSE && (m.mouse.x < 0 || m.mouse.y < 0)) abort();
        if (m.kind == UI_MSG_PASTE && strlen(m.text) > UI_PASTE_MAX) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ui_keys k = {0};
    double now = 1;
    ui_keys_bind(&k, "\033Oq", UI_KEY_F1);
    for (size_t at = 0; at < size;) {
        size_t n = data[at] % 16 + 1u;
        if (n > size - at) n = size - at;
        ui_keys_feed(&k, (const char *)data + at, n, now);
        drain(&k, now);
        now += data[at] & 0x80 ? 3 : 0.001;
        drain(&k, now);
        at += n;
    }
    drain(&k, now + 10);
    if (ui_keys_wait(&k, now + 10) >= 0)
        abort(); /* nothing may be left that waits for ever */
    ui_keys_free(&k);
    return 0;
}
