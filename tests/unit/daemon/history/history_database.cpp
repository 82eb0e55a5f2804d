#include "daemon/history/history_database.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <sqlite3.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "support/sample_record.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;
using Catch::Contains;
using Catch::StartsWith;

namespace {

constexpr std::size_t limit = 1000;

history_database open(std::filesystem::path const& path) {
    auto opened = history_database::open(path);
    if (!opened) {
        FAIL(opened.error().message);
    }
    return std::move(*opened);
}

std::string ids(history_database& database, history_filter const& filter = {}) {
    auto const found = database.find(filter);
    REQUIRE(found);
    std::string all;
    for (auto const& each : *found) {
        all += each.record.id + " ";
    }
    return all;
}

std::string why_not(std::filesystem::path const& path) {
    auto const opened = history_database::open(path);
    REQUIRE_FALSE(opened);
    CHECK_THAT(opened.error().message, StartsWith(path.string() + ": "));
    CHECK(opened.error().message.find('\n') == std::string::npos);
    return opened.error().message;
}

/// Changes the database as another program would.
void change(std::filesystem::path const& path, std::string const& statements) {
    sqlite3* database = nullptr;
    REQUIRE(::sqlite3_open(path.c_str(), &database) == SQLITE_OK);
    CHECK(::sqlite3_exec(database, statements.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    REQUIRE(::sqlite3_close(database) == SQLITE_OK);
}

} // namespace

TEST_CASE("history database: a record is the same after a restart") {
    temp_dir const folder;
    auto const path = folder / "history.sqlite";
    auto failed = strangers_record("2", 10);
    failed.end = deployment_end::failed;
    failed.verified.reset();
    failed.started.reset();
    failed.taken.reset();
    failed.receipt.clear();
    failed.disk_bytes.reset();
    failed.image_bytes.reset();
    failed.fetched.reset();
    failed.reason = "EIO";
    {
        auto database = open(path);
        CHECK(database.is_new());
        CHECK(database.add({sample_record("1"), failed}, limit) == 2U);
    }
    struct ::stat made = {};
    REQUIRE(::stat(path.c_str(), &made) == 0);
    CHECK((made.st_mode & 0777U) == 0600U);
    auto database = open(path);
    CHECK_FALSE(database.is_new());
    auto const found = database.find({.receipts = true});
    REQUIRE(found);
    REQUIRE(found->size() == 2);
    CHECK((*found)[0].record == failed);
    CHECK((*found)[1].record == sample_record("1"));
    CHECK((*found)[0].number > (*found)[1].number);
    CHECK(database.find({})->at(1).record.receipt.empty()); // only on request
}

TEST_CASE("history database: one of the first format keeps its records, and takes receipts") {
    temp_dir const folder;
    auto const path = folder / "history.sqlite";
    change(path,
           "CREATE TABLE deployments (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, is_job INTEGER"
           " NOT NULL, authenticated INTEGER NOT NULL, ended INTEGER NOT NULL, started INTEGER, end_state TEXT NOT"
           " NULL, verified INTEGER, machine TEXT NOT NULL, card TEXT NOT NULL, address TEXT NOT NULL, image TEXT"
           " NOT NULL, info_hash TEXT NOT NULL, device TEXT NOT NULL, model TEXT NOT NULL, serial TEXT NOT NULL,"
           " disk_class TEXT NOT NULL, disk_bytes INTEGER, image_bytes INTEGER, fetched INTEGER, reason TEXT NOT"
           " NULL, warnings TEXT NOT NULL);"
           "CREATE INDEX deployments_by_id ON deployments (id, is_job, address);"
           "CREATE INDEX deployments_by_host ON deployments (address, info_hash, ended);"
           "CREATE INDEX deployments_of_strangers ON deployments (number) WHERE is_job = 0 AND authenticated = 0;"
           "INSERT INTO deployments VALUES (NULL, '1', 1, 1, 1769860800000, 1769860600000, 'done', 1, 'PC-17',"
           " '52:54:00:00:00:17', '192.0.2.17', 'win11', '" +
               sample_record("1").info_hash +
               "', '/dev/nvme0n1', 'Samsung SSD 970', 'S466NX0K', 'nvme', 500107862016, 10737418240, 4294967296,"
               " '', '2 file systems have the same UUID'); PRAGMA user_version = 1;");
    auto expected = sample_record("1");
    expected.taken.reset();
    expected.receipt.clear();
    {
        auto database = open(path);
        CHECK_FALSE(database.is_new());
        CHECK(database.find({.receipts = true})->at(0).record == expected);
        CHECK(database.add({sample_record("1"), sample_record("2")}, limit) == 1U);
    }
    auto database = open(path);
    auto const found = database.find({.receipts = true});
    REQUIRE(found);
    REQUIRE(found->size() == 2);
    CHECK((*found)[0].record == sample_record("2"));
    CHECK((*found)[1].record == expected);
}

TEST_CASE("history database: an end that is reported again is one record") {
    temp_dir const folder;
    auto database = open(folder / "history.sqlite");
    CHECK(database.add({sample_record("1"), sample_record("1")}, limit) == 1U);
    CHECK(database.add({sample_record("1", 60)}, limit) == 0U);
    auto other_host = strangers_record("1");
    other_host.address = "192.0.2.18";
    CHECK(database.add({strangers_record("1"), other_host}, limit) == 2U); // hosts choose ids; none takes another's
    auto other_address = sample_record("1");
    other_address.address = "192.0.2.19"; // a job may move
    CHECK(database.add({other_address}, limit) == 0U);
}

TEST_CASE("history database: reports without an id are told apart by their end") {
    temp_dir const folder;
    auto database = open(folder / "history.sqlite");
    CHECK(database.add({strangers_record("", 0)}, limit) == 1U);
    CHECK(database.add({strangers_record("", 29), strangers_record("", -29)}, limit) == 0U); // the age is rounded
    CHECK(database.add({strangers_record("", 100)}, limit) == 1U);
    auto failed = strangers_record("", 0);
    failed.end = deployment_end::failed;
    CHECK(database.add({failed}, limit) == 1U);
    auto other = strangers_record("", 0);
    other.info_hash = std::string(40, 'c');
    CHECK(database.add({other}, limit) == 1U);
}

TEST_CASE("history database: the oldest records are removed, and strangers fill at most half") {
    temp_dir const folder;
    auto database = open(folder / "history.sqlite");
    std::vector<deployment_record> records;
    for (int i = 0; i < 20; ++i) {
        records.push_back(strangers_record("s" + std::to_string(i), i));
    }
    CHECK(database.add(records, 8) == 20U);
    CHECK(ids(database) == "s19 s18 s17 s16 ");
    for (int i = 0; i < 6; ++i) {
        CHECK(database.add({sample_record("j" + std::to_string(i), i)}, 8) == 1U);
    }
    CHECK(ids(database) == "j5 j4 j3 j2 j1 j0 s19 s18 ");
    CHECK(database.add({sample_record("j6")}, 3) == 1U); // the limit was lowered
    CHECK(ids(database) == "j6 j5 j4 ");
}

TEST_CASE("history database: each filter") {
    temp_dir const folder;
    auto database = open(folder / "history.sqlite");
    auto failed = sample_record("failed", 10);
    failed.end = deployment_end::failed;
    failed.machine = "PC-18";
    failed.card = "SERIAL-18";
    auto refused = strangers_record("refused", 20);
    refused.end = deployment_end::refused;
    refused.image = "debian";
    refused.info_hash = std::string(40, 'c');
    refused.address = "2001:db8::1";
    CHECK(database.add({sample_record("done"), failed, refused}, limit) == 3U);
    CHECK(ids(database) == "refused failed done ");
    CHECK(ids(database, {.image = "WIN11"}) == "failed done ");
    CHECK(ids(database, {.image = "CCCCCC"}) == "refused ");
    CHECK(ids(database, {.image = "ccccc"}).empty()); // too short for an info-hash
    CHECK(ids(database, {.image = "%"}).empty());
    CHECK(ids(database, {.machine = "pc-18"}) == "failed ");
    CHECK(ids(database, {.machine = "serial-18"}) == "failed ");
    CHECK(ids(database, {.machine = "2001:DB8::1"}) == "refused ");
    CHECK(ids(database, {.machine = "' OR 1=1 --"}).empty());
    CHECK(ids(database, {.since = record_time(10)}) == "refused failed ");
    CHECK(ids(database, {.unsuccessful = true}) == "refused failed ");
    CHECK(ids(database, {.most = 1}) == "refused ");
    CHECK(ids(database, {.before = database.find({})->at(1).number}) == "done ");
}

TEST_CASE("history database: one that is damaged, newer or of another program is refused") {
    temp_dir const folder;
    auto const path = folder / "history.sqlite";
    static_cast<void>(open(path).add(std::vector(200, sample_record("1")), limit));
    change(path, "PRAGMA user_version = 3");
    CHECK_THAT(why_not(path), Contains("made by a newer version of Seedbed (format 3, this version supports 2)"));
    change(path, "PRAGMA user_version = 1"); // it is not
    CHECK_THAT(why_not(path), Contains("duplicate column"));
    change(path, "PRAGMA user_version = 2");
    CHECK(history_database::open(path));
    change(path, "PRAGMA journal_mode = DELETE");
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096 + 5);
        file << std::string(3000, '\xff');
    }
    CHECK_THAT(why_not(path), Contains("damaged") || Contains("malformed"));
    std::ofstream(path, std::ios::trunc) << std::string(8192, 'x');
    CHECK_THAT(why_not(path), Contains("not a database"));
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    CHECK_THAT(why_not(path), Contains("Is a directory"));
    CHECK_THAT(why_not(folder / "none" / "history.sqlite"), Contains("No such file or directory"));
}

TEST_CASE("history database: texts that another program has put into it are printable and limited") {
    temp_dir const folder;
    auto const path = folder / "history.sqlite";
    static_cast<void>(open(path).add({sample_record("1")}, limit));
    change(path, "UPDATE deployments SET reason = char(27) || '[2J' || hex(zeroblob(5000)), machine = x'ff00fe',"
                 " ended = 9223372036854775807, started = -1, end_state = 'odd', disk_bytes = 'many',"
                 " taken = -7, receipt = '[]'");
    auto const found = open(path).find({.receipts = true});
    REQUIRE(found);
    auto const& record = found->at(0).record;
    CHECK(record.reason.size() == longest_record_text);
    CHECK_THAT(record.reason, StartsWith("?[2J"));
    CHECK(record.end == deployment_end::failed);
    CHECK(record.disk_bytes == 0);
    CHECK(record.taken == std::chrono::milliseconds(0));
    CHECK(record.receipt.empty());
}

TEST_CASE("history database: long texts are shortened before they are written") {
    temp_dir const folder;
    auto database = open(folder / "history.sqlite");
    auto record = sample_record("1");
    record.reason = "\x1b" + std::string(100'000, 'x');
    CHECK(database.add({record}, limit) == 1U);
    CHECK(database.find({})->at(0).record.reason == "?" + std::string(longest_record_text - 1, 'x'));
}
