#include "daemon/commands/restore.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "core/device/device_identity.hpp"
#include "core/device/device_overview.hpp"
#include "core/device/disk_content.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/open_path.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/foundation/printable.hpp"
#include "core/foundation/wall_clock.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/packed_restore.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/confirm_overwrite.hpp"
#include "daemon/commands/output_file.hpp"
#include "daemon/commands/packed_report.hpp"
#include "daemon/commands/restore_options.hpp"
#include "daemon/commands/written_receipt.hpp"
#include "daemon/image/packed_plan.hpp"
#include "daemon/image/packed_restoration.hpp"
#include "daemon/image/written_content.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/receipt.hpp"
#include "daemon/service/termination.hpp"
#include "daemon/terminal/console.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

using clock = std::chrono::steady_clock;
using plan_cause = packed_plan_failure::cause;

double seconds_since(clock::time_point began) {
    return std::chrono::duration<double>(clock::now() - began).count();
}

/// One restoration, from reading the torrent to the comparison.
class restore_run {
public:
    explicit restore_run(restore_command_options options)
        : m_options(std::move(options)) {
        m_receipt.started = wall_clock_now();
        m_receipt.torrent = m_options.torrent;
        m_receipt.device = m_options.device;
    }

    int run() {
        auto& code = m_receipt.result.code;
        try {
            code = run_steps();
        } catch (std::exception const& e) {
            code = refuse(exit_failed, std::string("internal failure: ") + e.what());
        }
        m_console.clear();
        auto const saved = write_receipt("restore", m_options.receipt, m_receipt, m_console);
        return saved == exit_ok ? end_output("restore", report()) : saved;
    }

private:
    exit_code refuse(exit_code code, std::string const& reason) {
        m_console.print_error("seedbed restore: " + printable(reason));
        return code;
    }

    exit_code run_steps() {
        for (auto const step :
             {&restore_run::load, &restore_run::look, &restore_run::plan, &restore_run::ask, &restore_run::open,
              &restore_run::prepare, &restore_run::write, &restore_run::verify, &restore_run::finish}) {
            if (auto const code = (this->*step)(); code != exit_ok) {
                return code;
            }
        }
        return exit_ok;
    }

    exit_code load() {
        auto image = load_packed_image(m_options.torrent);
        if (!image) {
            return refuse(exit_bad_torrent, image.error().message);
        }
        m_image = std::move(*image);
        m_receipt.image_name = m_image->name;
        auto& known = m_receipt.result.image;
        known.info_hash = m_image->info_hash;
        known.total_bytes = m_image->description.used.value();
        known.piece_length = m_image->geometry.piece_length;
        known.piece_count = m_image->piece_count();
        auto file = open_packed_file(m_options.packed, *m_image);
        if (!file) {
            return refuse(exit_refused, file.error().message);
        }
        m_file = std::move(*file);
        return exit_ok;
    }

    [[nodiscard]] device_requirements requirements() const {
        device_requirements wanted;
        wanted.writable = true;
        wanted.min_size = m_image->description.layout ? 0 : m_image->geometry.source_size.value();
        wanted.serial = m_options.serial;
        wanted.size = m_options.size;
        wanted.image = traits_of(*m_image);
        wanted.allow_mismatch = m_options.allow_mismatch;
        return wanted;
    }

    /// Shows the device and the image, and checks the guards.
    exit_code look() {
        auto const& path = m_options.device;
        if (auto const shown = identify_device(path)) {
            m_shown = *shown;
        }
        auto& known = m_receipt.result.image;
        auto const overview = look_over_device(path);
        if (!overview) {
            known.guard = overview.error().guard;
            return refuse(exit_refused, overview.error().message);
        }
        auto const cls = m_options.profile.value_or(detect_storage_class(path).cls);
        m_profile = default_profile(cls);
        m_receipt.overview = *overview;
        known.detected = detect_storage_class(path).cls;
        known.profile = cls;
        m_console.print(overwrite_text(*overview, cls, packed_text(*m_image)));
        if (auto const checked = check_block_device(path, requirements()); !checked) {
            known.guard = checked.error().guard;
            return refuse(exit_refused, checked.error().message);
        }
        return exit_ok;
    }

    /// Plans where the partitions of a disk go, and checks everything that could fail after the first write.
    exit_code plan() {
        auto planned =
            packed_plan::make(*m_image, m_options.device, {m_options.grow, m_options.new_ids, m_options.discard});
        if (!planned) {
            auto const& [cause, reason] = planned.error();
            return refuse(cause == plan_cause::image ? exit_bad_torrent : exit_refused, reason);
        }
        m_plan = std::move(*planned);
        for (auto const& note : m_plan->notes()) {
            m_console.print(printable(note));
        }
        return exit_ok;
    }

    exit_code ask() {
        if (m_options.yes) {
            return exit_ok;
        }
        auto const confirmed = confirm_overwrite(m_options.device, m_shown);
        return confirmed ? exit_ok : refuse(confirmed.error().code, confirmed.error().message);
    }

    exit_code open() {
        auto wanted = requirements();
        auto const geometry = query_device_geometry(m_options.device);
        wanted.direct_io = geometry && geometry->is_block_device;
        auto device = open_block_device(m_options.device, wanted);
        if (!device) {
            m_receipt.result.image.guard = device.error().guard;
            return refuse(exit_refused, device.error().message);
        }
        m_restoration.emplace(*m_image, *m_plan, std::move(*device));
        return exit_ok;
    }

    [[nodiscard]] packed_plan_events events() {
        return {[this](std::string const& line) { m_console.print(printable(line)); },
                [this](std::string const& line) { warn(line); }};
    }

    exit_code prepare() {
        auto const prepared = m_restoration->prepare(m_options.wipe_signatures, events());
        if (prepared) {
            return exit_ok;
        }
        auto const& [cause, reason] = prepared.error();
        return refuse(cause == plan_cause::target ? exit_refused : exit_device_failed, reason);
    }

    [[nodiscard]] restore_options options_for(char const* phase, int threads) {
        restore_options how;
        how.placement = m_plan->placement();
        how.threads = threads;
        how.cancelled = &m_termination.requested();
        how.progress = [this, phase](std::int64_t done) {
            m_console.show_reading(phase, done, m_image->description.used.value());
        };
        return how;
    }

    /// Threads that unpack and write: enough to keep the processors busy while some wait for the device. On a hard disk
    /// few, so that its head moves in one direction.
    [[nodiscard]] int threads() const {
        auto const processors = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
        return m_profile.elevator ? 2 : std::clamp(2 * processors, 2, 32);
    }

    exit_code write() {
        m_began = clock::now();
        auto const written = m_restoration->write(*m_file, options_for("writing", threads()));
        if (!written) {
            auto const code =
                written.error().what == restore_failure::cause::image ? exit_damaged_source : exit_device_failed;
            return refuse(code, written.error().message + "; " + m_options.device + " is incomplete");
        }
        if (!*written) {
            return interrupted();
        }
        m_written = seconds_since(m_began);
        auto& result = m_receipt.result;
        result.image.device_written = result.image.total_bytes;
        result.image.durable = true;
        result.seconds[image_state::downloading] = m_written; // from the packed file
        return exit_ok;
    }

    exit_code verify() {
        if (!m_options.verify) {
            return exit_ok;
        }
        auto const found = m_restoration->verify(options_for("verifying", threads()));
        if (found.read_failed) {
            return refuse(exit_not_verified, "cannot read back: " + found.read_failed->message());
        }
        if (found.cancelled) {
            return refuse(exit_interrupted, "interrupted; " + m_options.device + " is written, but not verified");
        }
        if (!found.ok()) {
            return refuse(
                exit_not_verified,
                fmt::format("{}: {} of {} chunks differ after writing, the first at byte {}", m_options.device,
                            found.differing.size(), m_image->index.chunks().size(),
                            m_plan->placement().of(m_image->index.chunks()[found.differing.front()]).value()));
        }
        m_verified = seconds_since(m_began) - m_written;
        m_receipt.result.image.verified = true;
        m_receipt.result.seconds[image_state::verifying] = m_verified;
        return exit_ok;
    }

    /// Makes a disk of its partitions: the table is the last thing that is written.
    exit_code finish() {
        if (m_plan->layout() != nullptr && m_termination.requested()) {
            return interrupted();
        }
        auto const finished = m_restoration->finish(events());
        if (finished) {
            examine();
            return exit_ok;
        }
        if (m_termination.requested()) { // it may have ended the program, too
            return interrupted();
        }
        auto const& [cause, reason] = finished.error();
        return cause == plan_cause::program
                   ? refuse(exit_failed, reason + "; " + m_options.device +
                                             " has no partition table: remove the cause, and restore it again")
                   : refuse(exit_device_failed, reason);
    }

    /// For the receipt.
    void examine() {
        auto const* const layout = m_plan->layout();
        if (layout != nullptr) {
            m_receipt.layout = *layout;
        }
        auto content =
            examine_device(m_restoration->device(), m_plan->extents(), traits_of(*m_image), layout != nullptr);
        for (auto const& line : content.warnings) {
            warn(line);
        }
        m_receipt.result.image.content.found = std::move(content.found);
    }

    /// Prints a warning about the device, which stands in the receipt, too.
    void warn(std::string const& line) {
        m_console.print_error("seedbed restore: warning: " + printable(line));
        m_receipt.result.image.content.warnings.push_back(line);
    }

    exit_code interrupted() { return refuse(exit_interrupted, "interrupted; " + m_options.device + " is incomplete"); }

    /// Prints the result.
    [[nodiscard]] int report() const {
        auto const bytes = m_image->description.used.value();
        std::cout << fmt::format("{}: restored {} in {} ({}){}\n", printable(m_options.device), format_byte_size(bytes),
                                 format_duration(m_written), format_rate(bytes, m_written),
                                 m_options.verify ? ", verified in " + format_duration(m_verified) : ", not verified");
        return exit_ok;
    }

    restore_command_options const m_options;
    termination_flag const m_termination;
    console m_console;
    receipt m_receipt;
    std::optional<packed_image> m_image;
    std::optional<opened_packed_file> m_file;
    std::optional<device_identity> m_shown; ///< empty if the device cannot be identified
    io_profile m_profile;
    std::optional<packed_plan> m_plan;
    std::optional<packed_restoration> m_restoration; ///< once the device is open
    clock::time_point m_began{};
    double m_written = 0;  ///< seconds until everything was flushed
    double m_verified = 0; ///< seconds of reading back
};

} // namespace

int restore_command(std::vector<std::string> const& arguments) {
    auto options = parse_restore_options(arguments);
    if (!options) {
        return fail_usage("restore", options.error().message);
    }
    if (options->help) {
        return show_help(restore_help());
    }
    if (!options->receipt.empty()) {
        if (auto const checked =
                check_output(options->receipt, true, {options->packed, options->torrent, options->device});
            !checked) {
            return fail("restore", exit_usage, "--receipt " + checked.error().message);
        }
    }
    return restore_run(std::move(*options)).run();
}

} // namespace seedbed
