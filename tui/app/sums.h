/* sums.h - what the engine has measured of each tensor, for the recipe that is shown.
 *
 * Sums do not depend on gains or t, so they stay usable through most edits; which ones do is
 * told by their fingerprint (merge/measure.h). Sums that no longer fit stay as old values
 * until new ones come, and those of earlier states are kept, so that going back to a lambda
 * (or undoing) is instant too. */
#ifndef UI_SUMS_H
#define UI_SUMS_H

#include "merge/measure.h"

typedef struct ui_sums {
    rs_tensor_sums *at; /* [n], the plan's order: the newest known of each tensor */
    uint64_t *want;     /* [n] fingerprints under the plan that is shown */
    int n;
    rs_tensor_sums *kept; /* [cap] earlier ones by tensor and fingerprint */
    int cap;              /* a power of two, or 0 */
} ui_sums;

/* Another plan is shown now. Only where it has another number of tensors is all forgotten:
 * the engine does not send again what it knows to be unchanged. */
void ui_sums_follow(ui_sums *s, const rs_plan *p);
/* New sums from the engine; those that do not belong to the plan are kept for later or
 * dropped. Returns how many changed what is known of the shown plan. */
int ui_sums_put(ui_sums *s, const rs_tensor_sums *sums, int n);
bool ui_sums_is_known(const ui_sums *s, int i);
bool ui_sums_is_old(const ui_sums *s, int i); /* known, but of another recipe */
void ui_sums_free(ui_sums *s);

#endif
