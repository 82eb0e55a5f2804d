#include "daemon/history/receipt_text.hpp"

#include <random>
#include <string>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "support/sample_record.hpp"

using namespace seedbed;
using namespace seedbed::test;
using nlohmann::json;

TEST_CASE("receipt text: a receipt is the same after it was packed") {
    auto const packed = packed_receipt(sample_receipt());
    CHECK_FALSE(packed.empty());
    CHECK(packed.size() < sample_receipt().size());
    CHECK(unpacked_receipt(packed) == sample_receipt());
}

TEST_CASE("receipt text: what is not a receipt is dropped") {
    for (auto const* text :
         {"", "[]", "7", "{", "{}", R"({"receipt":"1"})", R"({"receipt":1} x)", "{\"receipt\":1,\"\xff\":1}"}) {
        INFO(text);
        CHECK(checked_receipt(text).empty());
        CHECK(unpacked_receipt(text).empty());
        CHECK(unpacked_receipt(packed_receipt(text)).empty());
    }
    auto packed = packed_receipt(sample_receipt());
    for (auto const cut : {1U, 3U, 4U, 100U}) {
        CHECK(unpacked_receipt(packed.substr(0, packed.size() - cut)).empty());
    }
    packed[packed.size() / 2] = packed[packed.size() / 2] == 'A' ? 'B' : 'A';
    CHECK(unpacked_receipt(packed).empty());
}

TEST_CASE("receipt text: texts are printable and short, and nesting is limited") {
    auto const hostile =
        R"({"receipt":1,"host":"\u001b[2J\u00e9)" + std::string(5000, 'x') + R"(","\u202e":1,"deep":[[[[[[[7]]]]]]]})";
    auto const checked = checked_receipt(hostile);
    CHECK(checked.find_first_not_of(" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
                                    "abcdefghijklmnopqrstuvwxyz{|}~") == std::string::npos);
    auto const read = json::parse(checked);
    CHECK(read["host"].get<std::string>().size() == longest_receipt_text);
    CHECK(read["host"].get<std::string>().starts_with("?[2J"));
    CHECK(checked.find('7') == std::string::npos);
    CHECK(checked_receipt(R"({"receipt":1,"x":)" + std::string(20'000, '[')).empty());
}

TEST_CASE("receipt text: neither a long receipt nor one that unpacks to a long one is accepted") {
    json long_list = {{"receipt", 1}, {"list", std::vector<int>(longest_receipt, 1)}};
    CHECK(checked_receipt(long_list.dump()).empty());
    auto const packed = packed_receipt(long_list.dump()); // a few bytes
    CHECK(packed.size() < 200);
    CHECK(unpacked_receipt(packed).empty());
    CHECK(unpacked_receipt(packed_receipt(R"({"receipt":1,"x":")" + std::string(1'000'000, 'x') + "\"}")).empty());
    std::mt19937 random(7);
    for (int i = 0; i < 4000; ++i) {
        long_list["noise"].push_back(random());
    }
    CHECK(packed_receipt(long_list.dump()).empty());
}

TEST_CASE("receipt text: the columns") {
    auto const columns = columns_of_receipt(sample_receipt());
    auto const value = [&columns](std::string const& name) {
        for (std::size_t i = 0; i < receipt_columns.size(); ++i) {
            if (receipt_columns[i].name == name) {
                return columns[i];
            }
        }
        return std::string("no such column");
    };
    CHECK(value("downloading_seconds") == "150.25");
    CHECK(value("checking_seconds").empty());
    CHECK(value("written_bytes") == "4294967296");
    CHECK(value("wwn") == "naa.5");
    CHECK(value("partition_table") == "gpt");
    CHECK(columns.back() == "2"); // one of the three has sent nothing
    for (auto const* text : {"", "7", "{}", R"({"seconds":7,"bytes":{"written":[]},"peers":{}})"}) {
        for (auto const& column : columns_of_receipt(text)) {
            CHECK(column.empty());
        }
    }
}
