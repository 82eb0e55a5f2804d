#pragma once

#include <string>
#include <utility>
#include <vector>

namespace boost::program_options {
class options_description;
}

namespace seedbed {

struct option_help {
    std::string name;     ///< "-o, --output"
    std::string argument; ///< "FILE"; empty where it takes none
    std::string text;
};

/// What a subcommand's --help and its part of the manual page are made of. Texts have no newlines.
struct command_help {
    std::string name;                                     ///< "create"
    std::vector<std::string> usage;                       ///< what follows the name: "SOURCE -o FILE [OPTION]..."
    std::vector<std::string> paragraphs;                  ///< what it does
    std::vector<option_help> options;                     ///< in the order in which they are shown
    std::vector<std::pair<int, std::string>> exit_status; ///< what each means
    std::vector<std::string> notes = {};                  ///< paragraphs after that
};

/// The options of a command line, as Program_options knows them.
[[nodiscard]] std::vector<option_help> to_option_helps(boost::program_options::options_description const& description);

/// What --help shows, in lines of at most 80 characters.
[[nodiscard]] std::string help_text(command_help const& help);

} // namespace seedbed
