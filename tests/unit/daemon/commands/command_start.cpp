#include "daemon/commands/command_start.hpp"

#include <boost/program_options.hpp>
#include <catch2/catch.hpp>

using namespace seedbed;

namespace po = boost::program_options;

TEST_CASE("arguments are taken into the variables of their options") {
    std::string output;
    std::string source;
    bool force = false;
    po::options_description options;
    options.add_options()("help,h", "")("output,o", po::value(&output))("force", po::bool_switch(&force))(
        "source", po::value(&source));
    auto const take = [&](std::vector<std::string> const& arguments) {
        return take_arguments(arguments, options, po::positional_options_description().add("source", 1));
    };

    SECTION("options and positional ones") {
        CHECK(take({"--output", "x", "/dev/sda", "--force"}) == true);
        CHECK(output == "x");
        CHECK(source == "/dev/sda");
        CHECK(force);
    }
    SECTION("help leaves all as it was, whatever stands beside it") {
        CHECK(take({"-o", "x", "--help", "/dev/sda"}) == false);
        CHECK(take({"-h"}) == false);
        CHECK(output.empty());
        CHECK(source.empty());
    }
    SECTION("an abbreviation is no option") {
        auto const taken = take({"--outp", "x"});
        REQUIRE(!taken);
        CHECK(taken.error().message == "unrecognised option '--outp'");
        CHECK(output.empty());
    }
    SECTION("one positional argument too many") {
        CHECK(!take({"/dev/sda", "/dev/sdb"}));
        CHECK(source.empty());
    }
    SECTION("no positional argument at all") {
        CHECK(!take_arguments({"/dev/sda"}, options));
        CHECK(take_arguments({"--force"}, options) == true);
        CHECK(force);
    }
}
