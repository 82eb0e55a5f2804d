#include "daemon/commands/command_help.hpp"

#include <sstream>

#include <boost/program_options.hpp>
#include <catch2/catch.hpp>

#include "daemon/commands/command_line.hpp"

using namespace seedbed;

TEST_CASE("help: the text of a command") {
    boost::program_options::options_description description;
    std::string name;
    bool force = false;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("name", boost::program_options::value(&name)->value_name("NAME"),
        "a text that is too long for the line that it begins in, and goes on below");
    add("a-name-that-leaves-no-room", boost::program_options::bool_switch(&force), "do it");
    command_help const help{"try",  {"X", "--name NAME"}, {"Tries."}, to_option_helps(description), {{0, "done"}},
                            {"So."}};
    CHECK(help_text(help) == "Usage: seedbed try X\n"
                             "       seedbed try --name NAME\n"
                             "\n"
                             "Tries.\n"
                             "\n"
                             "Options:\n"
                             "  -h, --help                show this help\n"
                             "  --name NAME               a text that is too long for the line that it begins\n"
                             "                            in, and goes on below\n"
                             "  --a-name-that-leaves-no-room\n"
                             "                            do it\n"
                             "\n"
                             "Exit status:\n"
                             "  0  done\n"
                             "\n"
                             "So.\n");
}

TEST_CASE("help: every command fits 80 columns") {
    auto const all = subcommands();
    CHECK(all.size() == 11);
    for (auto const& [summary, help] : all) {
        INFO(help.name);
        CHECK_FALSE(summary.empty());
        CHECK(help.exit_status.size() >= 3);
        std::istringstream in(help_text(help));
        for (std::string line; std::getline(in, line);) {
            INFO(line);
            CHECK(line.size() <= 80);
        }
        for (auto const& option : help.options) {
            CHECK_FALSE(option.text.empty());
        }
    }
}
