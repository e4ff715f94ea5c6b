/* The keys of a recipe's make are the options of the verbs that it stands for: each has one of
 * the same name, meaning the same where nothing is said, and no option is forgotten. */
#include "merge/make.h"
#include "tests/t.h"
#include "tui/verbs/verbs.h"

#include <stdlib.h>

extern const ui_verb ui_verb_fisher, ui_verb_subspace, ui_verb_train;

typedef struct pairing {
    rs_make_type type;
    const ui_verb *verb;
    const char *apart; /* options that say where and how, not what */
} pairing;

static const pairing pairings[] = {
    /* a contrast of two models is a mask, no measure; random_tokens is random with seed */
    {RS_MAKE_FISHER, &ui_verb_fisher,
     " out jsonl checkpoint resume force other contrast random_tokens "},
    {RS_MAKE_SUBSPACE, &ui_verb_subspace, " out force spectrum "},
    /* corpora come from the recipe as a list, and nothing is begun with */
    {RS_MAKE_ADAPTER, &ui_verb_train,
     " out jsonl order init valid_every checkpoint resume force "},
};
enum { PAIRINGS = sizeof pairings / sizeof *pairings };

/* "--per-token" as "per_token". */
static void key_of(const ui_opt *o, char out[64])
{
    snprintf(out, 64, "%s", o->name + 2);
    for (char *c = out; *c; c++)
        *c = *c == '-' ? '_' : *c == ',' ? '\0' : *c;
    if (strcmp(out, "corpus") == 0) snprintf(out, 64, "corpora");
}

static const ui_opt *option_of(const ui_verb *v, const char *key)
{
    const ui_opt *lists[] = {v->opts, ui_common_opts};
    for (int k = 0; k < 2; k++)
        for (const ui_opt *o = lists[k]; o->name; o++) {
            char name[64];
            key_of(o, name);
            if (strcmp(name, key) == 0) return o;
        }
    return NULL;
}

static const rs_make_key *row_of(rs_make_type t, const char *name)
{
    for (const rs_make_key *k = rs_make_keys(t); k->name; k++)
        if (strcmp(k->name, name) == 0) return k;
    return NULL;
}

static void every_key_is_an_option(void)
{
    for (int i = 0; i < PAIRINGS; i++) {
        const ui_verb *v = pairings[i].verb;
        for (const rs_make_key *k = rs_make_keys(pairings[i].type); k->name; k++) {
            if (!option_of(v, k->name)) printf("%s: no --%s\n", v->name, k->name);
            T_TRUE(option_of(v, k->name) != NULL);
        }
    }
}

static void every_option_is_a_key(void)
{
    for (int i = 0; i < PAIRINGS; i++) {
        const ui_verb *v = pairings[i].verb;
        for (const ui_opt *o = v->opts; o->name; o++) {
            char name[64], word[70];
            key_of(o, name);
            snprintf(word, sizeof word, " %s ", name);
            bool apart = strstr(pairings[i].apart, word) != NULL;
            if (apart == (row_of(pairings[i].type, name) != NULL))
                printf("%s: %s\n", v->name, o->name);
            T_TRUE(apart != (row_of(pairings[i].type, name) != NULL));
        }
    }
}

static void the_same_where_nothing_is_said(void)
{
    for (int i = 0; i < PAIRINGS; i++) {
        const ui_verb *v = pairings[i].verb;
        char *said = calloc(1, v->opts_size);
        if (v->defaults) v->defaults(said);
        for (const ui_opt *o = v->opts; o->name; o++) {
            char name[64];
            key_of(o, name);
            const rs_make_key *k = row_of(pairings[i].type, name);
            bool by_init = pairings[i].type == RS_MAKE_ADAPTER && strcmp(name, "rank") == 0;
            if (by_init) continue; /* the verb's 0 is 16, or what it is begun with */
            if (k && o->type == UI_OPT_INT)
                T_NEAR((double)*(int64_t *)(said + o->offset), k->usual, 0, 0);
            if (k && o->type == UI_OPT_NUMBER)
                T_NEAR(*(double *)(said + o->offset), k->usual, 0, 0);
            if (k && k->holds == RS_HOLDS_WORD)
                T_STR(*(const char **)(said + o->offset), k->words[0]);
        }
        free(said);
    }
}

T_MAIN(T_TEST(every_key_is_an_option), T_TEST(every_option_is_a_key),
       T_TEST(the_same_where_nothing_is_said))
