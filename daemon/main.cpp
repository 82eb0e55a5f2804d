#include "daemon/command_line.hpp"

int main(int argc, char** argv) {
    return seedbed::run_command_line({argv + 1, argv + argc});
}
