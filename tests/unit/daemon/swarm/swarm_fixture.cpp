#include "swarm_fixture.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <random>
#include <span>
#include <utility>

#include <unistd.h>

#include <catch2/catch.hpp>
#include <libtorrent/bencode.hpp>
#include <libtorrent/create_torrent.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/hasher.hpp>

#include "core/backend/served_image.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/io_profile.hpp"
#include "core/image/sha1.hpp"
#include "core/image/torrent_file.hpp"

namespace seedbed::test {

namespace lt = libtorrent;

namespace {

using clock = std::chrono::steady_clock;

void write_file(std::filesystem::path const& path, std::string const& content) {
    std::ofstream out(path, std::ios::binary);
    out << content;
    out.close();
    REQUIRE(out.good());
}

std::string random_bytes(std::size_t size) {
    std::mt19937 random(1); // NOLINT(cert-msc51-cpp): the same every time
    std::string bytes(size, '\0');
    std::ranges::generate(bytes, [&random] { return static_cast<char>(random()); });
    return bytes;
}

image_torrent load(std::filesystem::path const& folder, std::string const& bytes) {
    write_file(folder / "sda1.torrent", bytes);
    auto loaded = load_image_torrent(folder / "sda1.torrent");
    REQUIRE(loaded);
    return std::move(*loaded);
}

image_torrent make_image_torrent(std::filesystem::path const& folder, std::string const& content, int piece_length) {
    auto const extents = extent_map::make({{0, static_cast<std::int64_t>(content.size())}});
    REQUIRE(extents);
    std::vector<sha1_digest> hashes;
    for (std::size_t at = 0; at < content.size(); at += static_cast<std::size_t>(piece_length)) {
        auto const piece = std::string_view(content).substr(at, static_cast<std::size_t>(piece_length));
        sha1_sum sum;
        sum.update(std::as_bytes(std::span(piece)));
        hashes.push_back(sum.final());
    }
    torrent_details details;
    details.name = "sda1";
    details.piece_length = piece_length;
    auto const made = make_torrent(*extents, hashes, details);
    REQUIRE(made);
    return load(folder, made->bytes);
}

image_torrent make_v2_torrent(std::filesystem::path const& folder, std::string const& content, int piece_length) {
    lt::file_storage files;
    files.add_file("sda1/00000000000000000000000000000000", static_cast<std::int64_t>(content.size()));
    lt::create_torrent torrent(files, piece_length, lt::create_torrent::v2_only);
    for (auto const piece : torrent.piece_range()) {
        auto const begin = static_cast<std::size_t>(static_cast<int>(piece)) * static_cast<std::size_t>(piece_length);
        auto const block = content.substr(begin, static_cast<std::size_t>(piece_length));
        torrent.set_hash2(lt::file_index_t{0}, piece - lt::piece_index_t{0}, lt::hasher256(block).final());
    }
    std::string bytes;
    lt::bencode(std::back_inserter(bytes), torrent.generate());
    return load(folder, bytes);
}

std::unique_ptr<block_device> open_device(test_image const& image, image_mode mode, std::filesystem::path const& file) {
    device_requirements wanted;
    wanted.writable = mode == image_mode::deploy;
    wanted.min_size = image.torrent().extents.device_end();
    auto device = open_block_device(file.string(), wanted);
    REQUIRE(device);
    return std::move(*device);
}

} // namespace

bool test_loop::reaches(std::function<bool()> const& condition, std::chrono::milliseconds limit) {
    auto const deadline = clock::now() + limit;
    while (!condition()) {
        if (context.run_one_until(deadline) == 0) {
            return condition();
        }
    }
    return true;
}

void test_loop::run_until(std::function<bool()> const& condition, std::chrono::seconds limit) {
    if (!reaches(condition, limit)) {
        FAIL("the event does not come");
    }
}

std::string loopback(int n) {
    auto const process = static_cast<unsigned>(::getpid());
    // From 127.1.0.0 on, since other programs use 127.0.0.1.
    return "127." + std::to_string(1 + (process >> 8) % 250) + "." + std::to_string(process & 0xff) + "." +
           std::to_string(n);
}

ip_endpoint listener(int n, int port) {
    return {*parse_ip_address(loopback(n)), static_cast<std::uint16_t>(port)};
}

tcp::endpoint endpoint(int n, int port) {
    return {boost::asio::ip::make_address(loopback(n)), static_cast<std::uint16_t>(port)};
}

network_settings network_on(int n) {
    network_settings network;
    network.listen = {listener(n)};
    network.local_discovery = false;
    return network;
}

test_image::test_image(int pieces, int piece_length)
    : test_image(pieces, piece_length, &make_image_torrent) {}

test_image::test_image(int pieces, int piece_length, torrent_maker make)
    : m_content(random_bytes(static_cast<std::size_t>(pieces) * static_cast<std::size_t>(piece_length)))
    , m_torrent(make(m_folder.path(), m_content, piece_length)) {}

test_image test_image::v2(int pieces) {
    return {pieces, 16 << 10, &make_v2_torrent};
}

std::filesystem::path test_image::full_file(std::string const& name) const {
    write_file(m_folder / name, m_content);
    return m_folder / name;
}

std::filesystem::path test_image::damaged_file(int piece) const {
    auto damaged = m_content;
    auto& byte = damaged.at(static_cast<std::size_t>(piece) * static_cast<std::size_t>(m_torrent.piece_length));
    byte = static_cast<char>(~byte);
    write_file(m_folder / "damaged", damaged);
    return m_folder / "damaged";
}

std::filesystem::path test_image::empty_file(std::string const& name) const {
    write_file(m_folder / name, std::string(m_content.size(), '\0'));
    return m_folder / name;
}

std::string test_image::read(std::filesystem::path const& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

test_store::test_store(test_image const& image, image_mode as, std::filesystem::path const& file,
                       std::int64_t pool_bytes)
    : test_store(image, open_device(image, as, file), pool_bytes) {
    mode = as;
}

test_store::test_store(test_image const& image, std::unique_ptr<block_device> device, std::int64_t pool_bytes)
    : shared(std::make_shared<backend>(pool_bytes, 1))
    , mode(image_mode::seed) {
    auto made = shared->make_image(image.torrent(), std::move(device), default_profile(storage_class::nvme));
    REQUIRE(made);
    storage = std::move(*made);
    REQUIRE(shared->add_image(storage));
}

test_store::~test_store() {
    shared->remove_image(backend::key_of(storage->torrent()));
    storage.reset(); // must not outlive the backend
}

torrent_spec test_store::spec() const {
    torrent_spec spec;
    spec.torrent = std::shared_ptr<image_torrent const>(storage, &storage->torrent());
    spec.mode = mode;
    spec.name = "sda1";
    return spec;
}

torrent_spec test_store::checked_spec() const {
    auto checked = spec();
    checked.pieces.emplace(static_cast<std::size_t>(storage->torrent().piece_count), mode == image_mode::seed);
    return checked;
}

bool recording_listener::has(std::string const& event) const {
    return std::ranges::find(events, event) != events.end();
}

} // namespace seedbed::test
