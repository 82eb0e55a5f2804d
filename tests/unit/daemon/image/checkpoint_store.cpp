#include "daemon/image/checkpoint_store.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "support/fake_block_device.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using test::fake_block_device;
using operation = fake_block_device::operation;

namespace {

constexpr std::int64_t piece_size = 4096;

device_identity disk(std::string serial = "S1") {
    device_identity identity;
    identity.block_device = true;
    identity.size = 8 * piece_size;
    identity.serials = {std::move(serial)};
    identity.disk_sequence = 7;
    identity.boot = "boot";
    identity.sectors_written = 100;
    identity.disk_sectors_written = 500;
    return identity;
}

info_hash hash_of(char digit) {
    return info_hash::from_hex(std::string(40, digit)).value();
}

checkpoint sample() {
    checkpoint what;
    what.info_hash = hash_of('a');
    what.device = "/dev/disk/by-id/x-part1";
    what.identity = disk();
    what.pieces = {true, false, true, true, false, false, false, true, true};
    what.time = 1'700'000'000;
    return what;
}

std::string content(std::filesystem::path const& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write(std::filesystem::path const& file, std::string const& text) {
    std::ofstream(file, std::ios::binary) << text;
}

std::string why(std::string const& text) {
    auto const parsed = parse_checkpoint(text);
    REQUIRE_FALSE(parsed);
    return parsed.error().message;
}

std::string replaced(std::string text, std::string const& from, std::string const& to) {
    auto const at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("a checkpoint is unchanged after writing and reading") {
    auto what = sample();
    CHECK(parse_checkpoint(format_checkpoint(what)).value() == what);
    what.placement = "moved";
    CHECK(parse_checkpoint(format_checkpoint(what)).value() == what);
    what.verified = true;
    what.at_rest = true;
    for (std::size_t pieces = 1; pieces < 10; ++pieces) {
        what.pieces.assign(pieces, false);
        CHECK(parse_checkpoint(format_checkpoint(what)).value() == what);
        CHECK_FALSE(what.complete());
        what.pieces.assign(pieces, true);
        CHECK(parse_checkpoint(format_checkpoint(what)).value() == what);
        CHECK(what.complete());
    }
}

TEST_CASE("a damaged, truncated or newer text is not a checkpoint") {
    auto const text = format_checkpoint(sample());
    CHECK(why(replaced(text, "\"pieces\": \"b18\"", "\"pieces\": \"f18\"")) == "damaged: wrong checksum");
    CHECK(why(replaced(text, "\"verified\": false", "\"verified\": true")) == "damaged: wrong checksum");
    CHECK(why(replaced(text, "\"version\": 1", "\"version\": 2")) == "its version is 2, expected 1");
    CHECK(why(replaced(text, "\"checksum\"", "\"sum\"")) == "damaged: a key is missing or has the wrong type");
    CHECK(why("") == "damaged: not a JSON object");
    CHECK(why("[]") == "damaged: not a JSON object");
    CHECK(why(std::string(10'000, '\0')) == "damaged: not a JSON object");
    for (std::size_t length = 0; length + 2 < text.size(); ++length) {
        REQUIRE_FALSE(parse_checkpoint(text.substr(0, length)));
    }
}

TEST_CASE("a checkpoint with a number out of range is refused though its checksum is right") {
    auto const [key, number] = GENERATE(table<std::string, std::string>({
        {"size", "1.1e104"},
        {"size", "9223372036854775808"},
        {"start", "0.5"},
        {"disk_sequence", "-1"},
        {"born", "true"},
        {"piece_count", "-1"},
        {"piece_count", "1e300"},
        {"time", "1e300"},
        {"time", "-1"},
        {"time", "9000000000000000000"},
        {"version", "4294967297"},
        {"version", "1.0"},
    }));
    CAPTURE(key, number);
    auto document = nlohmann::json::parse(format_checkpoint(sample()));
    auto& changed = document.contains(key) ? document[key] : document["identity"][key];
    changed = nlohmann::json::parse(number);
    document.erase("checksum");
    document["checksum"] = sha1_text(document.dump(1, ' ', true));
    auto const reason = why(document.dump());
    CHECK(
        (reason == "damaged: a number is out of range" || reason == "damaged: a key is missing or has the wrong type"));
}

TEST_CASE("a checkpoint of an earlier version lacks the counter of the whole disk") {
    auto document = nlohmann::json::parse(format_checkpoint(sample()));
    document["identity"].erase("disk_sectors_written");
    document.erase("checksum");
    document["checksum"] = sha1_text(document.dump(1, ' ', true));
    auto expected = sample();
    expected.identity.disk_sectors_written = -1;
    CHECK(parse_checkpoint(document.dump()).value() == expected);
    CHECK(changed_since(expected.identity, disk()) == device_change::unknown);
}

TEST_CASE("a checkpoint whose info-hash is not 40 hex digits is damaged, even if its checksum is right") {
    for (auto const& hash : {std::string(40, 'g'), std::string(38, 'a'), std::string()}) {
        auto document = nlohmann::json::parse(format_checkpoint(sample()));
        document["info_hash"] = hash;
        document.erase("checksum");
        document["checksum"] = sha1_text(document.dump(1, ' ', true));
        CHECK(why(document.dump(1, ' ', true)) == "damaged: its info_hash is not 40 hex digits");
    }
}

TEST_CASE("a checkpoint of another torrent, device or time does not match") {
    auto const what = sample();
    auto const unfit = [](checkpoint const& found, device_identity const& present) {
        return why_unfit(found, hash_of('a'), 9, "/dev/disk/by-id/x-part1", present).value_or("");
    };
    CHECK(unfit(what, disk()).empty());
    auto other = what;
    other.info_hash = hash_of('b');
    CHECK(unfit(other, disk()) == "it belongs to torrent " + std::string(40, 'b'));
    other = what;
    other.pieces.resize(8);
    CHECK(unfit(other, disk()) == "it has 8 pieces, the torrent has 9");
    other = what;
    other.device = "/dev/sdb";
    CHECK(unfit(other, disk()) == "it belongs to /dev/sdb");
    CHECK(unfit(what, disk("S2")) == "it belongs to another device: its disk has the serial number S2 instead of S1");
    auto smaller = disk();
    smaller.size -= 1;
    CHECK(unfit(what, smaller) == "it belongs to another device: its size was 32768 bytes and is 32767");

    // The daemon's own writes after a checkpoint of an unfinished download do not matter.
    auto written = disk();
    written.sectors_written += 1;
    CHECK(unfit(what, written).empty());
    other = what;
    other.at_rest = true;
    CHECK(unfit(other, disk()).empty());
    CHECK(unfit(other, written) == "another program has written to the device since");
}

TEST_CASE("a store keeps one checkpoint per device") {
    test::temp_dir const folder;
    std::vector<std::string> warnings;
    auto const place = (folder.path() / "state" / "seedbed").string();
    checkpoint_store store(place, [&](std::string const& text) { warnings.push_back(text); });
    auto const what = sample();
    CHECK(store.load(what.device).value() == std::nullopt);
    store.remove(what.device);

    store.save(what);
    CHECK(store.load(what.device).value() == what);
    CHECK((std::filesystem::status(store.file_of(what.device)).permissions() & std::filesystem::perms::others_all) ==
          std::filesystem::perms::none);
    auto second = what;
    second.device = "/dev/sdb";
    second.pieces = {true};
    store.save(second);
    CHECK(store.load(what.device).value() == what);
    CHECK(store.load("/dev/sdb").value() == second);
    second.pieces = {false};
    store.save(second);
    CHECK(store.load("/dev/sdb").value() == second);
    CHECK(std::distance(std::filesystem::directory_iterator(place), {}) == 2);

    store.remove(what.device);
    CHECK(store.load(what.device).value() == std::nullopt);
    CHECK(warnings.empty());

    auto const file = store.file_of("/dev/sdb");
    write(file, replaced(content(file), "\"at_rest\": false", "\"at_rest\": true"));
    CHECK(store.load("/dev/sdb").error().message == file + ": damaged: wrong checksum");

    store.set_folder(folder.path().string());
    CHECK(store.load("/dev/sdb").value() == std::nullopt);
}

TEST_CASE("a folder that is not writable causes one warning") {
    test::temp_dir const folder;
    write(folder.path() / "file", "");
    std::vector<std::string> warnings;
    auto const place = (folder.path() / "file").string();
    checkpoint_store store(place, [&](std::string const& text) { warnings.push_back(text); });
    store.save(sample());
    store.save(sample());
    store.remove(sample().device);
    CHECK(store.load(sample().device).value() == std::nullopt);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].starts_with(place + ": "));
    CHECK(warnings[0].ends_with(": deployments cannot be resumed"));
    store.set_folder(place + "/x");
    store.save(sample());
    CHECK(warnings.size() == 2);
}

TEST_CASE("no checkpoint claims a piece that a power cut removes") {
    test::temp_dir const folder;
    checkpoint_store store(folder.path().string(), [](std::string const& text) { FAIL(text); });
    fake_block_device device(8 * piece_size);
    std::array<std::byte, piece_size> piece{};
    piece.fill(std::byte{0x5a});
    auto what = sample();
    what.pieces.assign(8, false);
    auto const write_piece = [&](std::size_t index) {
        REQUIRE(device.write(static_cast<std::int64_t>(index) * piece_size, piece));
        what.pieces[index] = true;
    };
    auto const keep = [&] {
        auto const now = what; // taken before the flush
        return flush_then_save([&] { return device.flush(); }, [&store, now] { store.save(now); });
    };
    auto const durable = [&](std::size_t index) {
        auto const bytes = device.medium(static_cast<std::int64_t>(index) * piece_size, piece_size);
        return std::equal(bytes.begin(), bytes.end(), piece.begin());
    };

    write_piece(0);
    write_piece(1);
    REQUIRE(keep());
    auto const first = what;
    write_piece(2);

    SECTION("one that arrived after the flush") {
        device.crash();
    }
    SECTION("one whose flush failed") {
        device.fail(operation::flush, EIO);
        auto const kept = keep();
        REQUIRE_FALSE(kept);
        CHECK(kept.error().code == EIO);
        device.crash();
    }
    SECTION("one whose flush has not ended") {
        auto hold = device.hold(operation::flush);
        std::thread flushing([&] { static_cast<void>(keep()); });
        hold.wait_until_waiting();
        CHECK(store.load(what.device).value() == first);
        hold.release();
        flushing.join();
        CHECK(store.load(what.device).value() == what);
        device.crash();
        CHECK(durable(2));
        return;
    }
    auto const found = store.load(what.device).value().value();
    CHECK(found == first);
    for (std::size_t index = 0; index < found.pieces.size(); ++index) {
        CHECK((!found.pieces[index] || durable(index)));
    }
    CHECK_FALSE(durable(2));
}

TEST_CASE("the state folder is the configuration's, the service manager's or the default") {
    ::unsetenv("STATE_DIRECTORY");
    CHECK(state_folder("/x") == "/x");
    CHECK(state_folder("") == "/var/lib/seedbed");
    ::setenv("STATE_DIRECTORY", "/var/lib/a:/var/lib/b", 1);
    CHECK(state_folder("/x") == "/x");
    CHECK(state_folder("") == "/var/lib/a");
    ::setenv("STATE_DIRECTORY", "relative", 1);
    CHECK(state_folder("") == "/var/lib/seedbed");
    ::unsetenv("STATE_DIRECTORY");
}
