#include "tui/app/app.h"

/* The table of commands: groups of rows in the order that help shows them. */
const ui_command *const ui_command_groups[] = {
    ui_commands_move, ui_commands_select, ui_commands_values,  ui_commands_edit,
    ui_commands_text, ui_commands_work,   ui_commands_learn,  ui_commands_program,
    NULL,
};
