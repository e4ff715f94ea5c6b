/* curves.c - the named curves of values.h. */
#include "tui/app/values.h"

#include <math.h>
#include <string.h>

typedef struct curve {
    const char *name, *help;
} curve;

static const curve curves[] = {
    {"flat", "TO everywhere"},
    {"grad_up", "x"},
    {"grad_down", "1-x"},
    {"grad_v", "|2x-1|"},
    {"grad_a", "1-|2x-1|"},
    {"ring", "1 in the middle half, else 0"},
    {"smoothstep", "3xx-2xxx"},
    {"cosine", "(1-cos 2 pi x)/2"},
    {"wrap8", "1 in the first and last eighth"},
};

const char *ui_curve_name(int i, const char **help)
{
    if (i < 0 || i >= (int)(sizeof curves / sizeof *curves)) return NULL;
    if (help) *help = curves[i].help;
    return curves[i].name;
}

static double shape(const char *name, double x)
{
    if (strcmp(name, "grad_up") == 0) return x;
    if (strcmp(name, "grad_down") == 0) return 1 - x;
    if (strcmp(name, "grad_v") == 0) return fabs(2 * x - 1);
    if (strcmp(name, "grad_a") == 0) return 1 - fabs(2 * x - 1);
    if (strcmp(name, "ring") == 0) return x >= 0.25 && x <= 0.75;
    if (strcmp(name, "smoothstep") == 0) return x * x * (3 - 2 * x);
    if (strcmp(name, "cosine") == 0) return (1 - cos(2 * 3.14159265358979323846 * x)) / 2;
    if (strcmp(name, "wrap8") == 0) return x < 0.125 || x > 0.875;
    return 1;
}

double ui_curve(const char *name, int i, int n, double from, double to)
{
    double x = n > 1 ? (double)i / (n - 1) : 0;
    return round((from + (to - from) * shape(name, x)) * 1000) / 1000;
}
