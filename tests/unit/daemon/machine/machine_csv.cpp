#include "daemon/machine/machine_csv.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

std::string toml_of(std::string const& csv) {
    auto const made = machines_from_csv(csv, "room.csv");
    INFO((made ? "" : made.error().lines.front()));
    REQUIRE(made);
    return *made;
}

std::vector<std::string> errors_of(std::string const& csv) {
    auto const made = machines_from_csv(csv, "room.csv");
    REQUIRE_FALSE(made);
    return made.error().lines;
}

std::string const heading = "machine = [ # made from room.csv by \"seedbed machine import\"\n";

} // namespace

TEST_CASE("CSV: each machine keeps its line") {
    CHECK(toml_of("name,mac,image\n\n# room 1\nPC-1,52:54:00:00:00:01,win\n") ==
          heading + "\n\n  { name = \"PC-1\", mac = \"52:54:00:00:00:01\", image = \"win\" },\n]\n");
    CHECK(toml_of("\xef\xbb\xbfname;serial;disk\r\nPC-1; S1 ;\r\n") ==
          heading + "  { name = \"PC-1\", serial = \"S1\" },\n]\n");
}

TEST_CASE("CSV: only new_ids is a boolean") {
    CHECK(toml_of("name,grow,new_ids\ntrue,last,true\nb,3,yes\n") ==
          heading + "  { name = \"true\", grow = \"last\", new_ids = true },\n" +
              "  { name = \"b\", grow = \"3\", new_ids = \"yes\" },\n]\n");
}

TEST_CASE("CSV: fields may be quoted, and cannot leave their TOML string") {
    CHECK(toml_of("name,disk\n\"a\",\"nvme,200G..\"\n") ==
          heading + "  { name = \"a\", disk = \"nvme,200G..\" },\n]\n");
    CHECK(toml_of("name,disk\na,\"model=\"\"X\"\"\\\"\n") ==
          heading + "  { name = \"a\", disk = \"model=\\\"X\\\"\\\\\" },\n]\n");
}

TEST_CASE("CSV: every error is reported with its line") {
    CHECK(errors_of("name,maker,name\n") ==
          std::vector<std::string>{
              "room.csv:1: the column 'name' occurs twice",
              "room.csv:1: unknown column 'maker': expected name, image, mac or serial, disk, grow, new_ids, after",
              "room.csv:1: the column 'name' occurs twice"});
    CHECK(errors_of("name,image\na\nb,\"win\nc,win\x01\nd,win,\n") ==
          std::vector<std::string>{
              "room.csv:2: 1 field, but the first line names 2 columns",
              "room.csv:3: a quoted field does not end in this line, or the line contains a control character",
              "room.csv:4: a quoted field does not end in this line, or the line contains a control character",
              "room.csv:5: 3 fields, but the first line names 2 columns"});
    CHECK(errors_of("").size() == 1);
}
