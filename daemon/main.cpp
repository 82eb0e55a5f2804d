#include "daemon/commands/command_line.hpp"
#include "daemon/service/termination.hpp"
#include "daemon/swarm/session_settings.hpp"

int main(int argc, char** argv) {
    seedbed::hold_termination_signals(); // until the command is ready to handle them
    seedbed::keep_freed_memory();
    return seedbed::run_command_line({argv + 1, argv + argc});
}
