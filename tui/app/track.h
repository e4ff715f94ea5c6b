/* track.h - what a job tells of itself besides its progress (docs/formats.md, events): the
 * means of a Fisher, layer by layer, and the curves of a training.
 *
 * Shared and counted: the store of the jobs adds to it, the rows of Jobs keep it, all in one
 * thread. Points are thinned to at most UI_TRACK_POINTS by averaging neighbours, so that a
 * training of any length takes bounded memory and its curves keep their shape. What comes
 * from a file is checked: names are cut, numbers that are no numbers are NaN. */
#ifndef UI_TRACK_H
#define UI_TRACK_H

#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    UI_TRACK_CORPORA = 16,
    UI_TRACK_POINTS = 2048,
    UI_TRACK_TENSORS = 16384,
    UI_TRACK_NAME = 160
};

typedef struct ui_track_mean {
    char name[UI_TRACK_NAME];
    int layer;
    double mean, max;
} ui_track_mean;

typedef struct ui_track_corpus {
    char name[64]; /* the last part of its path, without its ending */
    double loss;   /* of the last step that drew it; NaN: none */
    double valid;  /* NaN: never validated */
    double epochs;
} ui_track_corpus;

typedef enum ui_track_value {
    UI_TRACK_LOSS,
    UI_TRACK_RATE,
    UI_TRACK_OUT, /* leak: share of dW in U, and in V */
    UI_TRACK_IN,
    UI_TRACK_NORM,
    UI_TRACK_CORPUS, /* this and what follows: losses of the corpora */
    UI_TRACK_VALUES = UI_TRACK_CORPUS + UI_TRACK_CORPORA
} ui_track_value;

typedef struct ui_track_point {
    double step;
    double v[UI_TRACK_VALUES]; /* NaN: not there */
    int n[UI_TRACK_VALUES];    /* how many steps are in the mean */
} ui_track_point;

typedef struct ui_track_valid {
    double step, loss;
} ui_track_valid;

typedef struct ui_track {
    int users;
    uint64_t version; /* counts events */
    /* of a Fisher */
    ui_track_mean *means;
    int n_means, cap_means, n_layers; /* layers that are done */
    /* of a training */
    ui_track_corpus corpus[UI_TRACK_CORPORA];
    int n_corpora;
    ui_track_point *points; /* by steps, rising */
    int n_points;
    int each;            /* steps in a point, at most */
    ui_track_point last; /* the newest step alone */
    double steps;        /* of the whole training; 0: not a training */
    double tokens_per_second;
    ui_track_valid *valid;
    int n_valid, cap_valid;
    double valid_loss; /* the newest; NaN: none */
} ui_track;

ui_track *ui_track_new(void); /* with one user */
void ui_track_keep(const ui_track *t);
void ui_track_drop(const ui_track *t); /* NULL is fine */

/* Mean of a value over the newest steps, at least `steps` of them where there are as many;
 * NaN: none has it. */
double ui_track_recent(const ui_track *t, int value, int steps);

bool ui_track_takes(const char *event);
void ui_track_add(ui_track *t, const rs_json *event);

#endif
