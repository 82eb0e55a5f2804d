#include "daemon/commands/command_start.hpp"

#include <boost/program_options.hpp>
#include <catch2/catch.hpp>

using namespace seedbed;

namespace po = boost::program_options;

TEST_CASE("arguments are stored in the variables of their options") {
    std::string output;
    std::string source;
    bool force = false;
    po::options_description options;
    options.add_options()("help,h", "show help")("output,o", po::value(&output), "write to FILE")(
        "force", po::bool_switch(&force), "replace it")("source", po::value(&source));
    auto const take = [&](std::vector<std::string> const& arguments) {
        return take_arguments(arguments, options, po::positional_options_description().add("source", 1));
    };

    SECTION("options and positional arguments") {
        CHECK(take({"--output", "x", "/dev/sda", "--force"}) == true);
        CHECK(output == "x");
        CHECK(source == "/dev/sda");
        CHECK(force);
    }
    SECTION("help stores nothing, whatever else is given") {
        CHECK(take({"-o", "x", "--help", "/dev/sda"}) == false);
        CHECK(take({"-h"}) == false);
        CHECK(output.empty());
        CHECK(source.empty());
    }
    SECTION("an abbreviation is not an option") {
        auto const taken = take({"--outp", "x"});
        REQUIRE(!taken);
        CHECK(taken.error().message == "unrecognised option '--outp' (did you mean '--output'?)");
        CHECK(output.empty());
    }
    SECTION("a misspelled option is answered with the likely one") {
        CHECK(take({"--outptu", "x"}).error().message == "unrecognised option '--outptu' (did you mean '--output'?)");
        CHECK(take({"--forse"}).error().message == "unrecognised option '--forse' (did you mean '--force'?)");
        CHECK(take({"--nonsense"}).error().message == "unrecognised option '--nonsense'");
        // Without a description it is a positional argument, which --help shows in capitals.
        CHECK(take({"--sourc", "x"}).error().message == "unrecognised option '--sourc'");
    }
    SECTION("one positional argument too many") {
        CHECK(take({"/dev/sda", "/dev/sdb"}).error().message == "too many arguments");
        CHECK(source.empty());
    }
    SECTION("no positional argument at all") {
        CHECK(!take_arguments({"/dev/sda"}, options));
        CHECK(take_arguments({"--force"}, options) == true);
        CHECK(force);
    }
}

TEST_CASE("without a configuration file, the pool leaves a small machine three quarters of its free memory") {
    constexpr std::int64_t mib = 1 << 20;
    CHECK(pool_without_config(240 * mib) == 60 * mib);
    CHECK(pool_without_config(8 * mib) == 16 * mib);
    CHECK(pool_without_config(std::int64_t{4} << 40) == 256 * mib);
    CHECK(pool_without_config(std::nullopt) == 256 * mib);
    CHECK(settings_from("")->memory.pool <= 256 * mib);
}
