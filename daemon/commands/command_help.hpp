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
    std::string argument; ///< "FILE"; empty if the option takes none
    std::string text;
};

/// The help of a subcommand, for --help and the manual page. Texts contain no newlines.
struct command_help {
    std::string name;                                     ///< "create"
    std::vector<std::string> usage;                       ///< the arguments: "SOURCE -o FILE [OPTION]..."
    std::vector<std::string> paragraphs;                  ///< description
    std::vector<option_help> options;                     ///< in the order shown
    std::vector<std::pair<int, std::string>> exit_status; ///< each with its meaning
    std::vector<std::string> notes = {};                  ///< paragraphs at the end
};

/// Converts the options from Program_options.
[[nodiscard]] std::vector<option_help> to_option_helps(boost::program_options::options_description const& description);

/// The text of --help, in lines of at most 80 characters.
[[nodiscard]] std::string help_text(command_help const& help);

} // namespace seedbed
