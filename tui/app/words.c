#include "tui/app/complete.h"
#include "tui/draw/theme.h"

#include <ctype.h>
#include <string.h>

/* Lists whose words are fixed: type, word, help. */
static const struct {
    const char *type, *word, *help;
} fixed[] = {
    {"SCREEN", "ring", "layers, gains, preview"},
    {"SCREEN", "duel", "two texts from one prompt and seed"},
    {"SCREEN", "jobs", "merges in the background"},
    {"KIND", "one_minus", "(1 - a F)(1 - b F_layer)"},
    {"KIND", "ewc", "1 / (1 + lambda F)"},
    {"KIND", "task", "F_task / (F_task + lambda F)"},
    {"KIND", "hard", "0 where F is above its q-quantile, else 1"},
    {"KIND", "none", "1 everywhere"},
    {"SIDE", "out", "keeps U^T x at 0"},
    {"SIDE", "in", "keeps x V at 0"},
    {"SIDE", "both", "both sides"},
    {"SIDE", "block", "only U^T x V"},
    {"SIDE", "off", "no mask"},
    {"SIDE", "per_layer=on", "strength times the layer's Fisher"},
    {"SIDE", "order=last", "after dampening"},
    {"CURVE", "flat", "TO everywhere"},
    {"CURVE", "grad_up", "rises from FROM to TO"},
    {"CURVE", "grad_down", "falls from TO to FROM"},
    {"CURVE", "grad_v", "low in the middle"},
    {"CURVE", "grad_a", "high in the middle"},
    {"CURVE", "ring", "TO in the middle half"},
    {"CURVE", "smoothstep", "rises gently at both ends"},
    {"CURVE", "cosine", "one wave, high in the middle"},
    {"CURVE", "wrap8", "TO in the first and last eighth"},
    {"NORMALISER", "mean", "F over its mean"},
    {"NORMALISER", "p99", "F over its 99 % quantile, at most 1"},
    {"NORMALISER", "p95", "F over its 95 % quantile, at most 1"},
    {"NORMALISER", "p90", "F over its 90 % quantile, at most 1"},
    {"NORMALISER", "p999", "F over its 99.9 % quantile, at most 1"},
    {"NORMALISER", "rank", "place in the order of all F"},
    {"NORMALISER", "log", "logarithm between smallest and largest F"},
    {"NORMALISER", "max", "F over the largest F"},
    {"NORMALISER", "none", "F as it is"},
    {"SIDE", "in", "input side"},
    {"SIDE", "out", "output side"},
    {"SIDE", "both", "both sides"},
    {"SIDE", "block", "both sides, as one block"},
    {"SIDE", "off", "no mask"},
    {"SPACE", "weight", "the whole weights turn"},
    {"SPACE", "delta", "only the differences to the base turn"},
    {"SCENE", "A", "where one starts"},
    {"SCENE", "B", "a second state"},
    {"SCENE", "C", "a third state"},
    {"OPVALUE", "=", "set: =0.5"},
    {"OPVALUE", "+", "add: +0.05"},
    {"OPVALUE", "-", "take: -0.1"},
    {"OPVALUE", "*", "multiply: *0.5"},
    {"SELECTOR", "*", "all rows"},
    {"SELECTOR", "layers.", "one layer, a range, a list"},
    {"SELECTOR", "mlp", "gate, up, down"},
    {"SELECTOR", "attn", "q, k, v, o"},
    {"SELECTOR", "norm", "norms"},
    {"SELECTOR", "embed", "embeddings and head"},
    {"SELECTOR", "ple", "per-layer gate and projection"},
    {"SELECTOR", "q_proj", "queries"},
    {"SELECTOR", "k_proj", "keys"},
    {"SELECTOR", "v_proj", "values"},
    {"SELECTOR", "o_proj", "attention's output"},
    {"SELECTOR", "gate_proj", "gate of the MLP"},
    {"SELECTOR", "up_proj", "up projection"},
    {"SELECTOR", "down_proj", "down projection"},
    {"SELECTOR", "sliding", "layers with a window"},
    {"SELECTOR", "full", "layers that see all"},
    {"SELECTOR", "donor", "k and v read by others"},
    {"SELECTOR", "sharer", "no k, v of their own"},
    {"SELECTOR", "marked", "rows with a mark"},
    {"SELECTOR", "cursor", "row under the cursor"},
    {"SELECTOR", "locked", "rows that are locked"},
};

const char *ui_fixed_word(const char *type, int i, const char **help)
{
    if (strcmp(type, "THEME") == 0) {
        if (i < 0 || i >= UI_N_THEMES) return NULL;
        *help = ui_theme_help((ui_theme)i);
        return ui_theme_name((ui_theme)i);
    }
    for (size_t k = 0; k < sizeof fixed / sizeof *fixed; k++)
        if (strcmp(fixed[k].type, type) == 0 && i-- == 0) {
            *help = fixed[k].help;
            return fixed[k].word;
        }
    return NULL;
}

enum { MAX_WORD = 40 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Letters to add, take, change or swap (neighbours) between two words of at most MAX_WORD. */
static int edits(const char *a, const char *b)
{
    int rows[3][MAX_WORD + 1];
    int n = (int)strlen(a), m = (int)strlen(b);
    for (int j = 0; j <= m; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *row = rows[i % 3];
        const int *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int ca = tolower((unsigned char)a[i - 1]),
                cb = tolower((unsigned char)b[j - 1]);
            int d = least(above[j - 1] + (ca != cb), least(above[j], row[j - 1]) + 1);
            bool is_swap = i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                           cb == tolower((unsigned char)a[i - 2]);
            row[j] = is_swap ? least(d, above2[j - 2] + 1) : d;
        }
    }
    return rows[n % 3][m];
}

const char *ui_nearest(const char *word, const char *const *names, int n)
{
    const char *best = NULL;
    size_t len = strlen(word);
    if (len == 0 || len > MAX_WORD) return NULL;
    int most = len <= 3 ? 1 : len <= 6 ? 2 : 3, fewest = most + 1;
    for (int i = 0; i < n; i++) {
        if (strlen(names[i]) > MAX_WORD) continue;
        int d = edits(word, names[i]);
        if (strncmp(names[i], word, len) == 0 && d > 1) d = 1; /* a start of the name */
        if (d < fewest) fewest = d, best = names[i];
    }
    return best;
}
