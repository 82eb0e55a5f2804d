#include "daemon/commands/command_start.hpp"

#include <iostream>

#include <boost/program_options.hpp>

namespace seedbed {

namespace po = boost::program_options;

result<bool> take_arguments(std::vector<std::string> const& arguments, po::options_description const& options,
                            po::positional_options_description const& positional) {
    try {
        po::variables_map values;
        auto const style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
        po::store(po::command_line_parser(arguments).options(options).positional(positional).style(style).run(),
                  values);
        if (values.count("help") != 0) {
            return false;
        }
        po::notify(values);
        return true;
    } catch (po::error const& e) {
        return tl::unexpected(error{e.what()});
    }
}

result<bool> take_arguments(std::vector<std::string> const& arguments, po::options_description const& options) {
    return take_arguments(arguments, options, po::positional_options_description());
}

int end_output(std::string_view command, int code) {
    return std::cout.flush() ? code : fail(command, exit_failed, "standard output: cannot be written");
}

int show_help(command_help const& help) {
    std::cout << help_text(help);
    return end_output(help.name, exit_ok);
}

exit_code fail(std::string_view command, exit_code code, std::string_view message) {
    std::cerr << "seedbed " << command << ": " << message << '\n';
    return code;
}

exit_code fail_usage(std::string_view command, std::string_view message) {
    return fail(command, exit_usage, std::string(message) + "; see 'seedbed " + std::string(command) + " --help'");
}

} // namespace seedbed
