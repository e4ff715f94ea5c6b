/* state.h - the struct behind ui_app, for the files of the workbench itself.
 *
 * Modes take keys before screens do (screens.md 3.9); there is at most one of them at a time,
 * with a toast or a popup on top of nothing else. Everything is owned by the app. */
#ifndef UI_STATE_H
#define UI_STATE_H

#include "tui/app/app.h"
#include "tui/app/document.h"
#include "tui/app/help.h"
#include "tui/app/look.h"
#include "tui/app/mem.h"
#include "tui/app/menu.h"
#include "tui/app/options.h"
#include "tui/app/palette.h"
#include "tui/app/pane.h"
#include "tui/app/prompt_state.h"
#include "tui/app/prompts.h"
#include "tui/app/rows.h"
#include "tui/app/screen.h"
#include "tui/app/undo.h"

typedef enum ui_mode {
    UI_MODE_NONE,
    UI_MODE_PROMPT, /* the command line */
    UI_MODE_ENTRY,  /* an entry line: a value, a search, a name */
    UI_MODE_MENU,
    UI_MODE_PAGE,
    UI_MODE_HELP,
    UI_MODE_PALETTE,
    UI_MODE_ASK,  /* a question on the message row */
    UI_MODE_PLAN, /* the plan page of a merge */
    UI_MODE_MORPH
} ui_mode;

typedef enum ui_focus {
    UI_FOCUS_CONTROLS,
    UI_FOCUS_ROWS,
    UI_FOCUS_KINDS,
    UI_FOCUS_TEXT,
    UI_N_FOCUS
} ui_focus;

/* A line of :log. */
typedef struct ui_said {
    char *text;
    double wall;
} ui_said;

typedef struct ui_entry { /* what the entry line is for */
    void (*changed)(ui_app *a, const char *text, ui_effects *fx); /* live; may be NULL */
    /* true: done. false: refused with a sentence, the line stays. */
    bool (*accept)(ui_app *a, const char *text, ui_effects *fx);
    void (*left)(ui_app *a, ui_effects *fx);
    char name[32]; /* the command: "gain", "find" */
    char op;       /* '=' '+' '-' '*' of a value */
} ui_entry;

typedef struct ui_ask {
    char text[256];
    /* Returns true when the question is answered. y/N questions: answered by key 'y', or by
     * n, Enter, Esc as no; other keys never reach it. */
    void (*yes)(ui_app *a, ui_effects *fx);
    void (*other)(ui_app *a, int key, ui_effects *fx); /* a key of `keys` */
    char keys[16];                                     /* "" for y/N */
    char line[512]; /* what was asked about: a recipe to load */
    int number;
} ui_ask;

typedef struct ui_scene {
    char *text; /* canonical; NULL: empty */
} ui_scene;

typedef struct ui_morph {
    int from, to;
    double x;
} ui_morph;

typedef struct ui_duel {
    bool open; /* B holds a recipe */
    ui_pane b;
    char *name, *text, *folder; /* of B */
    int version;
    uint64_t serial; /* of B's recipe */
    rs_recipe *recipe;
    rs_plan *plan;
    ui_sums sums;
    rs_measure *measure;
    int focus;         /* 0: A, 1: B */
    int paragraph[2];  /* first one shown */
    uint64_t a_serial; /* of the recipe that A's text was asked for */
} ui_duel;

enum { UI_JOB_SAMPLES = 20 };
typedef struct ui_job_row {
    ui_job job;
    char *log;                 /* what was seen of it, one line each */
    double at[UI_JOB_SAMPLES]; /* times and work done, newest last */
    uint64_t done[UI_JOB_SAMPLES];
    int n_samples;
    bool seen_failure;
    double stop_asked; /* when a stop was asked for; 0: not */
} ui_job_row;

typedef struct ui_jobs {
    ui_job_row *at;
    int n, cap;
    int cursor;
    double ended_at; /* when the youngest one ended: the title tells it for a minute */
    int ended_id;
    bool loaded; /* the first list came */
} ui_jobs;

/* Means of a Fisher that a job tells of, at the cells of the open model. */
typedef struct ui_heat_job {
    int id; /* 0: there is none */
    uint64_t version, serial;
    double *cell; /* [n_layers, RS_N_LAYER_KINDS]; NaN: not there yet */
    int n_layers, n_done;
    bool runs;
} ui_heat_job;

/* The contrast mask that the recipe names, and its means once they are read. */
typedef struct ui_contrast {
    uint64_t key; /* of the recipe's measures; 0: not looked for */
    char path[4096];
    int n;        /* tensors of the file; 0: there is no mask */
    int *cell;    /* [n] layer * RS_N_LAYER_KINDS + kind, or -1 */
    double *mean; /* [n]; NULL: not read yet */
    bool asked, failed;
} ui_contrast;

typedef struct ui_merge_page {
    char folder[1024], name[256];
    int version;
    bool saves, duel, full;
    rs_plan_needs needs;
    char *warnings;
} ui_merge_page;

typedef struct ui_merge_order { /* what the plan page was left with */
    char out[1024];
    bool duel; /* open in Duel */
} ui_merge_order;

typedef struct ui_load_order { /* asked for, while unsaved edits are asked about */
    char *what, *against;      /* against: then a duel with this; "" for none */
} ui_load_order;

typedef struct ui_write {
    char *path, *text;
} ui_write;

typedef struct ui_saving { /* from the first UI_FX_SAVE to the last one's answer */
    ui_write write[3];     /* in this order: the older version, the recipe, its note */
    int n_writes, written; /* n_writes 0: nothing is being saved */
    int version;
    char *path, *folder, *text, *note;
    bool other; /* under another name */
    bool then_merge, then_prepare, then_load, then_quit;
} ui_saving;

typedef enum ui_detail_focus {
    UI_DETAIL_ROWS,
    UI_DETAIL_SPECTRUM,
    UI_DETAIL_HISTOGRAM,
    UI_N_DETAIL_FOCUS
} ui_detail_focus;

typedef struct ui_detail {
    int layer, row;
    bool all; /* rows without a delta are listed too */
    ui_detail_focus focus;
    ui_looks looks;
    int rank;      /* of :rank; 0: by `energy`, or as the recipe's measure says */
    double energy; /* 0: not given */
    /* the two models whose difference has a spectrum, as of recipe `serial` */
    uint64_t serial, pair; /* pair 0: there are none, and `problem` says why */
    char from[64], to[64]; /* their names */
    int pair_rank;
    double pair_energy;
    rs_err problem;
} ui_detail;

typedef struct ui_tour {
    int step; /* 1 to n; 0: none */
    bool seen;
    bool waits; /* for the demo's files, on the first start */
} ui_tour;

struct ui_app {
    /* --- what the program told --- */
    char *library, *data, *cwd, *home, *program;
    bool library_installed, mono;
    ui_options opt;
    int width, height;
    double now, wall;
    double ticked;      /* time of the last TICK: clocks get one a second */
    double began, left; /* wall clock: of this session's start, of the last one's end */
    bool frozen;

    /* --- the recipe --- */
    ui_document doc;
    ui_undo undo;
    ui_scene scene[3];
    int i_scene;
    ui_saving saving;
    char *refused_text;  /* what the editor brought and was no recipe; NULL: none */
    char *last_edit;     /* the command line of the last edit, for & */
    char *number_line;   /* our clipboard */
    char *asked_numbers; /* a line of another length: what to do with it is asked */
    uint64_t followed;   /* serial that the engine was told */
    bool follow_later;   /* an entry line is open: the engine waits for Enter */

    /* --- where we are --- */
    ui_screen_id screen, before;
    bool maximised;
    ui_rows rows;
    ui_focus focus;
    bool lane_t;     /* keys edit t of the heal, not gains */
    int field, kind; /* cursors of the controls line and the kind row */
    ui_detail detail;
    char find[96];
    int text_top; /* first line of the preview on the screen; -1: the end */

    /* --- modes --- */
    ui_mode mode;
    ui_prompt *prompt;
    ui_entry entry;
    ui_menu menu;
    ui_page page;
    ui_help *help;
    ui_palette *palette;
    ui_ask ask;
    ui_merge_page plan;
    ui_merge_order order;
    ui_merge_order back; /* the plan page that the open text goes back to; out "": none */
    ui_load_order load;
    ui_morph morph;
    ui_tour tour;
    bool ascii_only; /* the locale has no other characters */
    bool dragging; /* a slider is held by the mouse */

    /* --- what is said --- */
    char message[800];
    bool message_warns;
    ui_said *said;
    int n_said, cap_said;
    char **toast; /* failures of work, oldest first */
    int n_toasts, cap_toasts;
    double toast_wall;

    /* --- flash: rows that the last edit changed --- */
    bool *flash; /* [rows.n] */
    int n_flash;
    double flash_until;

    /* --- texts --- */
    ui_prompts library_prompts;
    ui_prompt_item pinned;
    char *system;
    ui_sampling sampling;
    uint64_t run; /* the newest number of a run */
    ui_pane text; /* slot 0: Ring's preview and Duel's A */
    ui_duel duel;

    ui_jobs jobs;
    ui_heat_job heat_model; /* a Fisher of the base in the making */
    ui_contrast contrast;
    ui_heat_job heat_text;  /* the newest Fisher of a text */
    uint64_t text_measured; /* hash of the text that it is of; 0: not known */
    char *bindings; /* "KEY COMMAND\n" lines of :bind */

    /* --- session --- */
    char *session;     /* as last handed out */
    double session_at; /* when it is to be looked at again; 0: not due */
};

/* --- shared pieces, by file --- */

/* app.c */
void ui_set_mode(ui_app *a, ui_mode m); /* closes what the old mode held open */
void ui_toast(ui_app *a, const char *text);
void ui_key(ui_app *a, int key, ui_effects *fx); /* as if pressed */
void ui_go(ui_app *a, ui_screen_id s);
bool ui_run(ui_app *a, const char *line, ui_effects *fx); /* a line that may refuse */
ui_rect ui_body(const ui_app *a); /* the screen between tabs and message row */

/* edit.c: every change of the recipe goes through these */
/* Starts an edit: a copy to change, or NULL after saying why not. */
rs_recipe *ui_edit_begin(ui_app *a);
/* Shows the copy (taken) for good as one undo step; `line` is the command that did it. Says
 * "WHAT, fuel 0.0039 -> 0.0034 nat   (u undoes)" unless what is NULL. */
bool ui_edit_end(ui_app *a, rs_recipe *r, const char *line, const char *what);
/* The same as a live effect; ui_edit_keep makes it an undo step, ui_edit_drop ends it. */
bool ui_edit_try(ui_app *a, rs_recipe *r);
bool ui_edit_keep(ui_app *a, const char *line, const char *what);
void ui_edit_drop(ui_app *a);
/* Shows a state of the undo tree or a scene: text in a folder, as no new step. */
bool ui_edit_show_text(ui_app *a, const char *text, int file);
void ui_edit_opened(ui_app *a); /* another recipe is open: rows, flash */
/* What became of the stage's damage, or of the output's: ", fuel 0.0066 -> 0.0060 nat". */
void ui_edit_effect(const ui_app *a, double stage, double out, char *dst, size_t n);
double ui_stage_damage(const ui_app *a);
const char *ui_damage_unit(const ui_app *a); /* "nat" or "F units" */

/* load.c */
bool ui_open_path(ui_app *a, const char *path, rs_err *err);
/* What a user may write for a recipe: a name, name@2, -1, a file, a merged folder. */
bool ui_find_recipe(const ui_app *a, const char *what, char dst[4096], rs_err *err);
bool ui_folder_holds(const char *folder, const char *name); /* a file of that name */
bool ui_expand_home(const ui_app *a, const char *path, char dst[4096]);

/* save.c: under its own name (NULL) or another; note: of this version, or NULL */
bool ui_save(ui_app *a, const char *name, const char *note, ui_effects *fx);
void ui_saved(ui_app *a, const ui_msg *m, ui_effects *fx); /* the answer of UI_FX_SAVE */
void ui_saving_clear(ui_saving *s);

/* commands_edit.c: asks first where edits are not saved; against: then a duel, or NULL */
bool ui_load(ui_app *a, const char *what, const char *against, ui_effects *fx);
void ui_load_ordered(ui_app *a,
                     ui_effects *fx); /* the answer was: save, and it is saved */

/* text.c: what the engine is asked for */
uint64_t ui_generate(ui_app *a, ui_pane *p, bool keep, ui_effects *fx);
void ui_generate_again(ui_app *a, ui_effects *fx);    /* the texts of this screen */
void ui_preview_mode_told(ui_app *a, ui_effects *fx); /* continue/restart/off changed */
void ui_follow(ui_app *a, ui_effects *fx); /* tells the newest recipe, once a frame */
void ui_engine_event_taken(ui_app *a, const ui_engine_event *e, ui_effects *fx);
bool ui_versus(ui_app *a, const char *what, ui_effects *fx);
void ui_duel_close(ui_app *a);
void ui_files_again(ui_app *a, ui_effects *fx); /* everything is read anew */
void ui_duel_put_sums(ui_app *a, const ui_engine_event *e);
void ui_prompt_line(const ui_app *a,
                    rs_buf *out); /* the pinned prompt as a plumbing form */

/* detail_look.c: what the layer detail shows of single tensors */
void ui_look_follow(ui_app *a, ui_effects *fx); /* asks for what is missing there */
void ui_look_taken(ui_app *a, const ui_engine_event *e);
void ui_look_again(ui_app *a, ui_effects *fx); /* files may have changed: all is forgotten */
/* Of a tensor of the plan; NULL: not known yet. *old: of a recipe before. */
const rs_spread *ui_detail_spread(const ui_app *a, int i, bool *old);
const ui_spectrum *ui_detail_spectrum(const ui_app *a, int i);
bool ui_detail_has_spectrum(const ui_app *a, int i); /* a matrix of a layer, and two models */
int ui_detail_rank(const ui_app *a, const ui_spectrum *s); /* where the cut is: 1 to n */
bool ui_detail_step(ui_app *a, int steps, ui_effects *fx); /* h l H L in the panels */

/* contrast.c */
bool ui_contrast_find(ui_app *a); /* does the recipe name a mask? Reads headers */
void ui_contrast_follow(ui_app *a, ui_effects *fx);
void ui_contrast_taken(ui_app *a, const ui_engine_event *e);
double ui_contrast_at(const ui_app *a, int layer, int kind); /* NaN: not there (yet) */
void ui_contrast_clear(ui_contrast *c);

/* heat_job.c: heat from jobs that measure the open model */
void ui_heat_jobs_follow(ui_app *a);
void ui_heat_job_clear(ui_heat_job *h);
/* Prompt and text of the pane that has the focus, as a line of data; NULL: there is no text.
 * Owned by the caller. */
char *ui_text_line(const ui_app *a);
uint64_t ui_text_hash(const ui_app *a);
double ui_heat_job_at(const ui_heat_job *h, int layer, int kind); /* NaN: not there (yet) */

/* joblist.c */
void ui_jobs_taken(ui_app *a, const ui_msg *m, ui_effects *fx);
const ui_job_row *ui_job_here(const ui_app *a); /* under the cursor, or NULL */
ui_job_row *ui_job_with(ui_app *a, int id);
int ui_jobs_count(const ui_app *a, ui_job_state s);

/* sessions.c */
void ui_session_text(const ui_app *a, rs_buf *out);
/* with_recipe: also what was open, and where. false: not a session, or its recipe is gone. */
bool ui_session_restore(ui_app *a, const char *text, bool with_recipe);

/* merge_page.c */
bool ui_merge_open(ui_app *a, const char *folder, ui_effects *fx);
/* The page as it was when p showed the full plan. */
void ui_merge_again(ui_app *a, const ui_merge_order *back, ui_effects *fx);
void ui_merge_key(ui_app *a, int key, ui_effects *fx);
void ui_merge_view(const ui_app *a, ui_grid *g, ui_rect body);
void ui_plan_text(const ui_app *a, rs_buf *out); /* the whole plan in words */
void ui_merge_start(ui_app *a, const char *out, ui_effects *fx);
/* prepare.c: does the open recipe say how files are made? The job on its file; what a job's
 * end brings. */
bool ui_describes_files(const ui_app *a);
void ui_prepare_start(ui_app *a, ui_effects *fx);
void ui_prepared(ui_app *a, const ui_job *job, ui_effects *fx);

/* modes.c */
bool ui_mode_key(ui_app *a, int key, ui_effects *fx); /* false: no mode took it */
void ui_mode_paste(ui_app *a, const char *text, ui_effects *fx);
void ui_prompt_command(ui_app *a,
                       const char *initial); /* the `:` prompt, with this in it */
void ui_palette_show(ui_app *a);
void ui_help_show(ui_app *a, const char *topic);
void ui_entry_open(ui_app *a, const char *prefix, const char *initial,
                   const ui_entry *what);
void ui_ask_open(ui_app *a, const ui_ask *what);
void ui_page_open(ui_app *a, const char *title, rs_buf *text,
                  bool at_end); /* takes text */

/* scenes.c */
void ui_scene_go(ui_app *a, int i);
bool ui_morph_open(ui_app *a, int from, int to, double x);
void ui_morph_key(ui_app *a, int key, ui_effects *fx);

/* tour.c */
void ui_tour_open(ui_app *a, int step);
bool ui_tour_key(ui_app *a, int key);           /* false: the key goes on to the screen */
void ui_tour_watch(ui_app *a, const ui_msg *m); /* after an update: was the step done? */
void ui_tour_view(const ui_app *a, ui_grid *g, ui_rect body);

/* mouse.c */
void ui_mouse(ui_app *a, const ui_msg *m, ui_effects *fx);

/* commands_*.c */
bool ui_field_menu(ui_app *a,
                   ui_effects *fx);    /* the list behind a field of the controls line */
bool ui_range_key(ui_app *a, int key); /* range mode; false: not its key */
void ui_paste_line(ui_app *a, const char *text,
                   ui_effects *fx);                 /* a number line on the rows */
void ui_edited_outside(ui_app *a, const ui_msg *m); /* the answer of UI_FX_EDITOR */

/* chrome.c */
void ui_title_job(const ui_app *a, bool wide, char dst[96]);

#endif
