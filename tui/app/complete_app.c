#include "tui/app/app.h"
#include "tui/app/complete.h"

void ui_complete(const ui_app *a, const char *line, size_t at, ui_completions *out)
{
    ui_sources sources = {.screen = ui_app_screen(a)};
    ui_app_sources(a, &sources);
    ui_complete_with(&sources, line, at, out);
}
