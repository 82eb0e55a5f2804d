#include "core/image/partclone_image.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/foundation/find_program.hpp"
#include "core/image/partclone_info.hpp"
#include "core/image/unpacked_files.hpp"
#include "core/layout/program_run.hpp"
#include "support/partclone_sample.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using test::crc_of;
using test::number;
using test::padded;

namespace fs = std::filesystem;

namespace {

using sample = test::partclone_sample;
constexpr std::size_t block = sample::block;

/// A source in memory that returns at most a few bytes at once.
class text_source final : public byte_source {
public:
    explicit text_source(std::string text, bool endless = false)
        : m_text(std::move(text))
        , m_endless(endless) {}

    [[nodiscard]] std::string const& name() const noexcept override { return m_name; }
    [[nodiscard]] result<std::size_t> read(std::span<std::byte> buffer) override {
        auto const count = std::min({buffer.size(), m_text.size() - m_at, std::size_t{777}});
        if (count == 0 && m_endless && !buffer.empty()) {
            std::memset(buffer.data(), 0, buffer.size());
            return buffer.size();
        }
        std::memcpy(buffer.data(), m_text.data() + m_at, count);
        m_at += count;
        return count;
    }

private:
    std::string m_name = "image";
    std::string m_text;
    bool m_endless;
    std::size_t m_at = 0;
};

/// The whole file system, unused blocks zero; throws the error's message.
std::string unpack(byte_source& source, std::size_t buffer_size = 1000) {
    auto image = partclone_image::open(source);
    if (!image) {
        throw std::runtime_error(image.error().message);
    }
    std::string bytes(static_cast<std::size_t>(image->size()), '\0');
    std::vector<std::byte> buffer(buffer_size);
    std::int64_t sum = 0;
    for (;;) {
        auto const run = image->next(buffer);
        if (!run) {
            throw std::runtime_error(run.error().message);
        }
        if (!*run) {
            break;
        }
        std::memcpy(bytes.data() + (*run)->offset, buffer.data(), (*run)->length);
        sum += static_cast<std::int64_t>((*run)->length);
    }
    REQUIRE(sum == image->used_bytes());
    return bytes;
}

std::string refusal(std::string const& bytes) {
    text_source source(bytes);
    try {
        static_cast<void>(unpack(source));
        return "";
    } catch (std::runtime_error const& e) {
        return e.what();
    }
}

std::string version1(std::string const& used) {
    auto image = padded(padded("partclone-image", 15) + "NTFS", 30) + "0001" + std::string(2, '\0') + number(block, 4) +
                 number(used.size() * block, 8) + number(used.size(), 8) + number(3, 8) + std::string(4096, 'x');
    std::string blocks;
    std::uint32_t crc = 0xffffffff;
    for (std::size_t i = 0; i < used.size(); ++i) {
        image += static_cast<char>(used[i] - '0');
        if (used[i] == '1') {
            auto const bytes = sample::block_at(i);
            crc = crc_of(std::string(block, bytes[0]), crc);
            blocks += bytes + number(crc, 4);
        }
    }
    return image + "BiTmAgIc" + blocks;
}

std::string read_file(fs::path const& path) {
    std::string bytes(fs::file_size(path), '\0');
    std::ifstream in(path, std::ios::binary);
    REQUIRE(in.read(bytes.data(), static_cast<std::streamsize>(bytes.size())));
    return bytes;
}

bool succeeds(std::string const& program, std::vector<std::string> const& arguments) {
    auto const path = find_program(program);
    auto const end =
        path.empty() ? result<program_end>(program_end{127, "not installed"}) : run_to_end(path, arguments);
    INFO(program << ": " << (end ? end->last_line : end.error().message));
    CHECK((end && end->status == 0));
    return end && end->status == 0;
}

} // namespace

TEST_CASE("a partclone image: used blocks at their offsets") {
    sample s;
    text_source source(s.whole());
    auto const image = partclone_image::open(source);
    REQUIRE(image);
    CHECK(image->header().file_system == "EXTFS");
    CHECK(image->size() == 18 * block);
    CHECK(image->used() == std::vector<extent>{{0, 2 * block}, {3 * block, 7 * block}, {17 * block, block}});
    for (std::size_t const buffer : {1U, 511U, 512U, 1000U, 1U << 20}) {
        text_source again(s.whole());
        CHECK(unpack(again, buffer) == s.file_system_bytes());
    }
}

TEST_CASE("images with other checksums and bitmaps") {
    std::vector<std::function<void(sample&)>> const variants{
        [](sample& s) { s.fresh = 0; },
        [](sample& s) { s.strip = 1; },
        [](sample& s) { s.strip = 5; },
        [](sample& s) { s.strip = 0xffffffff; },
        [](sample& s) { s.kind = s.checksum_size = 0, s.strip = 0; },
        [](sample& s) { s.kind = 0x30, s.checksum_size = 8; },
        [](sample& s) { s.kind = 0x30, s.checksum_size = 8, s.fresh = 0; },
        [](sample& s) { s.kind = 0x31, s.checksum_size = 16; },
        [](sample& s) { s.kind = 0x31, s.checksum_size = 16, s.fresh = 0; },
        [](sample& s) { s.used = std::string(18, '0'), s.stated = 0; },
    };
    for (std::size_t i = 0; i < variants.size(); ++i) {
        CAPTURE(i);
        sample s;
        variants[i](s);
        text_source source(s.whole());
        CHECK(unpack(source) == s.file_system_bytes());
    }
    sample all;
    all.used = std::string(18, '1');
    all.stated = 18;
    all.bitmap_mode = 0;
    text_source source(all.header() + all.data());
    CHECK(unpack(source) == all.file_system_bytes());
}

TEST_CASE("an image of version 1") {
    text_source source(version1("101000020001"));
    auto const bytes = unpack(source);
    CHECK(bytes.size() == 12 * block);
    CHECK(bytes.substr(2 * block, block) == sample::block_at(2));
    CHECK(bytes.substr(7 * block, block) == std::string(block, '\0')); // 2 in the bitmap means unused
    CHECK(bytes.substr(11 * block) == sample::block_at(11));
    auto shifted = version1("11");
    shifted.insert(shifted.size() - 4, 1, 'x');
    CHECK(refusal(shifted) != "");
    auto wrong = version1("11");
    wrong[wrong.find("BiTmAgIc")] = 'X';
    CHECK(refusal(wrong) == "image: its bitmap does not end where it should");
}

TEST_CASE("every field of an image is checked") {
    std::vector<std::pair<std::function<void(sample&)>, std::string>> const cases{
        {[](auto& s) { s.endian = 0xdec0; }, "written on a machine with another byte order"},
        {[](auto& s) { s.features = 19; }, "its header has features of a later version"},
        {[](auto& s) { s.version = 3; }, "its header has features of a later version"},
        {[](auto& s) { s.file_system = "a\nb"; }, "the name of its file system is not text"},
        {[](auto& s) { s.kind = 0x21; }, "an unknown kind of checksums, 33"},
        {[](auto& s) { s.checksum_size = 8; }, "an unknown kind of checksums, 32"},
        {[](auto& s) { s.strip = 0; }, "checksums of no blocks"},
        {[](auto& s) { s.fresh = 2; }, "an unknown kind of bitmap"},
        {[](auto& s) { s.bitmap_mode = 2; }, "an unknown kind of bitmap"},
        {[](auto& s) { s.stated = 19; }, "more blocks in use than the file system has"},
        {[](auto& s) { s.stated = 9; }, "its header counts 9 used blocks, its bitmap 10"},
        {[](auto& s) { s.block_size = 0; }, "a block size of 0"},
        {[](auto& s) { s.block_size = 513; }, "a block size of 513"},
        {[](auto& s) { s.block_size = (64 << 20) + 512; }, "a block size of 67109376"},
        {[](auto& s) { s.blocks = s.stated = 0; }, "a file system of 0 blocks"},
        {[](auto& s) { s.blocks = std::uint64_t{1} << 63; }, "more blocks in use than the file system has"},
        {[](auto& s) { s.blocks = (std::uint64_t{1} << 35) + 1; }, "a file system of 34359738369 blocks"},
    };
    for (auto const& [change, message] : cases) {
        sample s;
        change(s);
        CHECK(refusal(s.whole()) == "image: " + message);
    }
    CHECK(refusal("x" + sample().whole()) == "image: not a partclone image");
    auto other = sample().whole();
    other[33] = '3';
    CHECK(refusal(other) == "image: a partclone image of a version other than 1 and 2");
}

TEST_CASE("a changed byte anywhere in an image is noticed, and so is every early end") {
    for (auto const& [kind, size] : {std::pair{0x20, 4}, {0x30, 8}, {0x31, 16}}) {
        CAPTURE(kind);
        sample s;
        s.kind = static_cast<std::uint16_t>(kind);
        s.checksum_size = static_cast<std::uint16_t>(size);
        auto const good = s.whole();
        for (std::size_t i = 0; i < good.size(); ++i) {
            auto bad = good;
            bad[i] = static_cast<char>(bad[i] ^ 1);
            if (refusal(bad).empty()) {
                FAIL("byte " << i);
            }
            if (refusal(good.substr(0, i)).empty()) {
                FAIL("length " << i);
            }
        }
        CHECK(refusal(good + "x") == "image: the stream does not end where the image does");
    }
}

TEST_CASE("an endless stream ends") {
    text_source endless(sample().whole(), true);
    CHECK_THROWS_WITH(unpack(endless), "image: the stream does not end where the image does");
}

TEST_CASE("images that partclone writes equal the file system's used blocks") {
    struct kind {
        std::string program;
        std::vector<std::string> make;
        std::string name;
    };
    std::vector<kind> const kinds{{"partclone.ext4", {"mke2fs", "-q", "-t", "ext4", "-F"}, "EXTFS"},
                                  {"partclone.vfat", {"mkfs.vfat"}, "FAT16"},
                                  {"partclone.ntfs", {"mkfs.ntfs", "-q", "-F", "-f"}, "NTFS"},
                                  {"partclone.xfs", {"mkfs.xfs", "-q", "-f"}, "XFS"},
                                  {"partclone.btrfs", {"mkfs.btrfs", "-q", "-f"}, "BTRFS"}};
    // Each run of partclone takes two seconds: only ext4 has several, packed in different ways.
    std::vector<std::vector<std::string>> const options{{}, {"-k", "3", "-K"}, {"-a0"}};
    int read = 0;
    for (auto const& k : kinds) {
        CAPTURE(k.program);
        if (find_program(k.program).empty() || find_program(k.make[0]).empty()) {
            WARN("SKIPPED: " << k.program << " or " << k.make[0] << " is not installed");
            continue;
        }
        test::temp_dir const folder;
        auto const device = (folder / "device").string();
        std::ofstream(device).close();
        fs::resize_file(device, k.name == "XFS" ? 320 << 20 : 128 << 20); // XFS needs 300 MiB
        auto make = std::vector<std::string>(k.make.begin() + 1, k.make.end());
        make.push_back(device);
        REQUIRE(succeeds(k.make[0], make));
        auto const bytes = read_file(device);
        std::vector<extent> used;
        for (std::size_t i = 0; i < (k.name == "EXTFS" ? options.size() : 1); ++i) {
            CAPTURE(i);
            auto const output = (folder / "image").string();
            std::vector<std::string> arguments{
                "-c", "-f", "0", "-s", device, "-O", output, "-L", (folder / "log").string()};
            arguments.insert(arguments.end(), options[i].begin(), options[i].end());
            fs::remove(output);
            REQUIRE(succeeds(k.program, arguments));
            auto const packed = std::vector<std::string>{"", "zst", "gz"}[i % 3];
            if (packed == "zst") {
                REQUIRE(succeeds("zstd", {"-q", "-1", "--rm", output, "-o", output + ".p"}));
            } else if (packed == "gz") {
                REQUIRE(succeeds("gzip", {"-1", "-S", ".p", output}));
            }
            auto const file = packed.empty() ? output : output + ".p";
            REQUIRE(succeeds("split", {"-b", "16M", file, file + "."}));
            std::vector<fs::path> parts;
            for (auto const& entry : fs::directory_iterator(folder.path())) {
                if (entry.path().string().starts_with(file + ".a")) {
                    parts.push_back(entry.path());
                }
            }
            std::ranges::sort(parts);
            auto const source = open_unpacked(parts);
            INFO((source ? "" : source.error().message));
            REQUIRE(source);
            auto image = partclone_image::open(**source);
            INFO((image ? "" : image.error().message));
            REQUIRE(image);
            CHECK(image->header().file_system == k.name);
            std::vector<std::byte> buffer(1 << 20);
            std::int64_t sum = 0;
            for (;;) {
                auto const run = image->next(buffer);
                INFO((run ? "" : run.error().message));
                REQUIRE(run);
                if (!*run) {
                    break;
                }
                REQUIRE(std::memcmp(buffer.data(), bytes.data() + (*run)->offset, (*run)->length) == 0);
                sum += static_cast<std::int64_t>((*run)->length);
            }
            CHECK(sum == image->used_bytes());
            used = image->used();
            ++read;
            for (auto const& part : parts) {
                fs::remove(part);
            }
            fs::remove(file);
        }
        if (k.name != "EXTFS" && k.name != "NTFS") {
            continue;
        }
        // partclone's own list of used blocks.
        auto const capture = folder / "capture";
        fs::create_directory(capture);
        REQUIRE(succeeds(k.program, {"-c", "-t", "-f", "0", "-s", device, "-O", capture.string(), "-L",
                                     (folder / "log").string(), "--buffer_size", "16777216"}));
        auto const info = load_partclone_info(capture / "torrent.info");
        REQUIRE(info);
        std::vector<extent> joined; // torrent.info may split a run
        for (auto const& e : info->extents.extents()) {
            if (!joined.empty() && joined.back().device_offset + joined.back().length == e.device_offset) {
                joined.back().length += e.length;
            } else {
                joined.push_back(e);
            }
        }
        CHECK(used == joined);
    }
    CHECK(read > 0);
}

TEST_CASE("files are unpacked by the program that their first bytes call for") {
    std::string const bytes = sample().whole();
    int unpacked = 0;
    for (auto const* const program : {"gzip", "zstd", "xz", "bzip2", "lz4"}) {
        CAPTURE(program);
        if (find_program(program).empty()) {
            WARN("SKIPPED: " << program << " is not installed");
            continue;
        }
        test::temp_dir const folder;
        auto const path = (folder / "image").string();
        std::ofstream(path, std::ios::binary) << bytes;
        std::vector<std::string> arguments{"-q", "-k", path};
        if (std::string(program) == "lz4") { // which writes to a pipe otherwise
            arguments.push_back(path + ".lz4");
        }
        REQUIRE(succeeds(program, arguments));
        fs::remove(path);
        REQUIRE(!fs::is_empty(folder.path()));
        auto const source = open_unpacked({fs::directory_iterator(folder.path())->path()});
        REQUIRE(source);
        CHECK(unpack(**source) == sample().file_system_bytes());
        ++unpacked;
    }
    CHECK(unpacked > 0);
}

TEST_CASE("packed files that are damaged or missing are refused with the program's message") {
    test::temp_dir const folder;
    auto const path = folder / "image.zst";
    auto const missing = open_unpacked({path});
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message == path.string() + ": No such file or directory (ENOENT)");
    std::string const bytes = sample().whole();
    std::ofstream(folder / "image", std::ios::binary) << bytes;
    REQUIRE(succeeds("zstd", {"-q", (folder / "image").string(), "-o", path.string()}));
    fs::resize_file(path, fs::file_size(path) - 5);
    auto const source = open_unpacked({path});
    REQUIRE(source);
    CHECK_THROWS_WITH(unpack(**source), Catch::Matchers::Contains("zstd failed with exit status 1: "));
    auto const second = open_unpacked({folder / "image", folder / "none"});
    REQUIRE(second);
    CHECK_THROWS_WITH(unpack(**second), (folder / "none").string() + ": No such file or directory (ENOENT)");
    auto const gone = open_unpacked({folder / "image"}); // not read to its end
    REQUIRE(gone);
}
