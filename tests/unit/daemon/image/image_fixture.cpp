#include "image_fixture.hpp"

#include <algorithm>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <utility>

#include <catch2/catch.hpp>

#include "core/foundation/save_file.hpp"
#include "core/image/sha1.hpp"
#include "core/image/torrent_file.hpp"
#include "daemon/log/logging.hpp"
#include "support/device_bytes.hpp"

namespace seedbed::test {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 60s;
constexpr auto tick = 5ms;

extent_map image_extents() {
    return *extent_map::make({{0, 20'000}, {40'960, image_fixture::total - 20'000}});
}

void save(std::string const& path, std::string const& text) {
    if (auto const saved = save_file(path, text, false); !saved) {
        throw std::runtime_error(saved.error().message);
    }
}

} // namespace

image_fixture::image_fixture(image_mode mode)
    : content(pattern(static_cast<std::size_t>(total), 7))
    , store((folder / "state").string(), [](std::string const& reason) { log_warning({}, reason); })
    , shared(std::make_shared<backend>(8 << 20, 2)) {
    std::vector<sha1_digest> hashes;
    for (int piece = 0; piece < piece_count; ++piece) {
        auto const begin = static_cast<std::size_t>(piece * piece_length);
        sha1_sum sum;
        sum.update(std::span(content).subspan(begin, std::min<std::size_t>(piece_length, content.size() - begin)));
        hashes.push_back(sum.final());
    }
    auto const torrent =
        make_torrent(image_extents(), hashes, {"sda1", piece_length, {"http://tracker/announce"}, "", false});
    wanted.name = "sda1";
    wanted.mode = mode;
    wanted.torrent = (folder / "sda1.torrent").string();
    wanted.device = (folder / "device").string();
    wanted.profile = storage_class::nvme;
    save(wanted.torrent, torrent.value().bytes);
    save(wanted.device, std::string(device_size, '\0'));
    for (int piece = 0; mode == image_mode::seed && piece < piece_count; ++piece) {
        put_piece(piece);
    }
    for (auto& profile : in_force.profiles) {
        profile.direct_io = direct_io_mode::off;
        profile.io_engine = io_engine_kind::threads;
        profile.threads = 2;
    }
    start_logging(log_level::debug, [this](log_level, std::string_view said) {
        std::scoped_lock const lock(m_log_mutex);
        m_log.emplace_back(said);
    });
}

image_fixture::~image_fixture() {
    if (job && state() != image_state::closed) {
        // A test failed half-way: workers must not outlive the objects that they use.
        bool closed = false;
        swarm.removes_by_itself = true;
        if (state() != image_state::closing) {
            job->close([&closed] { closed = true; });
        } else if (swarm.has_torrent()) {
            swarm.finish_removal();
        }
        auto const end = std::chrono::steady_clock::now() + patience;
        while (!closed && state() != image_state::closed && std::chrono::steady_clock::now() < end) {
            main.run_one_until(end);
        }
    }
    start_logging(log_level::info);
}

fake_block_device& image_fixture::use_fake_device() {
    m_next_device = std::make_unique<fake_block_device>(device_size, wanted.device, wanted.mode == image_mode::seed);
    m_next_device->set_contents(0, all_bytes(wanted.device));
    m_device = m_next_device.get();
    return *m_device;
}

image_services image_fixture::services() {
    image_services given{main,
                         setup,
                         shared,
                         swarm,
                         [this]() -> settings const& { return in_force; },
                         [this] {
                             ++changes;
                             states.push_back(state());
                         },
                         store,
                         &reports};
    given.report_port = report_port;
    given.trust_proof = trust_proof;
    given.source_interval = source_interval;
    given.damage_pause = damage_pause;
    given.read_back_interval = read_back_interval;
    given.ends = ends;
    if (m_next_device) {
        auto const next = std::make_shared<std::unique_ptr<fake_block_device>>(std::move(m_next_device));
        given.open_device = [next](std::string const&, device_requirements const&) {
            return result<std::unique_ptr<block_device>, device_refusal>(std::move(*next));
        };
    }
    return given;
}

void image_fixture::start() {
    job = std::make_shared<image_runner>(wanted, services());
    job->start();
}

void image_fixture::run_until(std::function<bool()> const& condition) {
    auto const end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        // Most conditions change in a handler. A worker's change of a file does not: check for it at each tick. Timers
        // may run for ever.
        main.run_one_for(tick);
        if (std::chrono::steady_clock::now() > end) {
            std::scoped_lock const lock(m_log_mutex);
            std::string all;
            for (auto const& each : m_log) {
                all += "\n  " + each;
            }
            FAIL("does not happen; " << line() << all);
        }
    }
}

void image_fixture::run_until(image_state wanted_state) {
    run_until([this, wanted_state] { return state() == wanted_state; });
    CHECK(state() == wanted_state);
}

void image_fixture::run_until_joined() {
    run_until([this] { return swarm.has_torrent(); });
}

void image_fixture::run_ready() {
    bool done = false;
    setup.submit([this, &done] { boost::asio::post(main, [&done] { done = true; }); });
    run_until([&done] { return done; });
}

void image_fixture::close() {
    bool closed = false;
    job->close([&closed] { closed = true; });
    run_until([&closed] { return closed; });
    CHECK(state() == image_state::closed);
    m_device = nullptr;
}

void image_fixture::restart() {
    close();
    job.reset();
    swarm.calls.clear();
    swarm.progress = {};
    swarm.pieces.clear();
    reports.sent.clear();
    states.clear();
    std::scoped_lock const lock(m_log_mutex);
    m_log.clear();
}

void image_fixture::start_download() {
    start();
    run_until_joined();
    swarm.progress.current = torrent_progress::phase::downloading;
    swarm.progress.bytes_left = total;
    swarm.pieces.assign(piece_count, false);
    swarm.listener().on_checked();
    run_until(image_state::downloading);
}

void image_fixture::complete_download() {
    for (int piece = 0; piece < piece_count; ++piece) {
        put_piece(piece);
    }
    swarm.pieces.assign(piece_count, true);
    swarm.progress = {};
    swarm.progress.current = torrent_progress::phase::complete;
    swarm.progress.fraction = 1;
    swarm.listener().on_complete();
}

void image_fixture::deploy() {
    start_download();
    complete_download();
    run_until(image_state::seeding);
}

void image_fixture::write_sink::deliver(waiter_list waiters, io_error const* /*failed*/) {
    while (!waiters.empty()) {
        waiters.pop()->block = {};
    }
}

void image_fixture::take_block(int piece) {
    auto memory = shared->cache().allocate_for_write();
    auto const length = static_cast<std::int32_t>(std::min<std::int64_t>(block_size, total - piece * piece_length));
    std::ranges::copy(
        std::span(content).subspan(static_cast<std::size_t>(piece) * piece_length, static_cast<std::size_t>(length)),
        memory.bytes().begin());
    auto& waiter = m_writes.emplace_back();
    waiter.sink = &m_written;
    auto const image = shared->find_image(job->info_hash().value());
    image->io().write_block(piece_index{piece}, 0, std::move(memory), length, waiter);
}

void image_fixture::put_piece(int piece) {
    auto const begin = std::int64_t{piece} * piece_length;
    auto rest = std::span(std::as_const(content)).subspan(static_cast<std::size_t>(begin));
    rest = rest.first(std::min<std::size_t>(piece_length, rest.size()));
    image_extents().for_each_slice(torrent_offset{begin}, static_cast<std::int64_t>(rest.size()),
                                   [&](extent const& slice) {
                                       auto const part = rest.first(static_cast<std::size_t>(slice.length));
                                       if (m_device == nullptr) {
                                           put_bytes(wanted.device, slice.device_offset, part);
                                       } else if (!m_device->write(slice.device_offset, part)) {
                                           throw std::runtime_error("cannot write to the fake device");
                                       }
                                       rest = rest.subspan(part.size());
                                   });
}

void image_fixture::damage_last_piece() const {
    auto const time = std::filesystem::last_write_time(wanted.device);
    std::byte const other = ~content.back();
    put_bytes(wanted.device, last_byte, std::span(&other, 1));
    std::filesystem::last_write_time(wanted.device, time);
}

void image_fixture::touch_device() const {
    auto const time = std::filesystem::last_write_time(wanted.device);
    std::filesystem::last_write_time(wanted.device, time + 1h);
}

std::optional<checkpoint> image_fixture::saved() const {
    auto loaded = store.load(wanted.device);
    if (!loaded) {
        throw std::runtime_error(loaded.error().message);
    }
    return *loaded;
}

bool image_fixture::device_is_free() const {
    device_requirements exclusive;
    exclusive.writable = true;
    return open_block_device(wanted.device, exclusive).has_value();
}

int image_fixture::count_lines(std::string const& text) const {
    std::scoped_lock const lock(m_log_mutex);
    return static_cast<int>(
        std::ranges::count_if(m_log, [&](auto const& each) { return each.find(text) != std::string::npos; }));
}

bool image_fixture::logged(std::string const& text) const {
    return !last_line(text).empty();
}

std::string image_fixture::last_line(std::string const& text) const {
    std::scoped_lock const lock(m_log_mutex);
    auto const at = std::find_if(m_log.rbegin(), m_log.rend(),
                                 [&](auto const& each) { return each.find(text) != std::string::npos; });
    return at == m_log.rend() ? std::string() : *at;
}

} // namespace seedbed::test
