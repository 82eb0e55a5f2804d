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
#include "core/device/partition_table.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/foundation/printable.hpp"
#include "core/image/old_signatures.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/packed_restore.hpp"
#include "core/layout/boot_sectors.hpp"
#include "core/layout/growth_plan.hpp"
#include "core/layout/partition_tools.hpp"
#include "core/layout/table_writer.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/packed_report.hpp"
#include "daemon/commands/restore_options.hpp"
#include "daemon/image/written_content.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/termination.hpp"
#include "daemon/terminal/confirm.hpp"
#include "daemon/terminal/console.hpp"
#include "daemon/terminal/overview_text.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point began) {
    return std::chrono::duration<double>(clock::now() - began).count();
}

/// One restoration, from reading the torrent to the comparison.
class restore_run {
public:
    explicit restore_run(restore_command_options options)
        : m_options(std::move(options)) {}

    int run() {
        auto const code = run_steps();
        m_console.clear();
        return code == exit_ok ? end_output("restore", report()) : code;
    }

private:
    exit_code refuse(exit_code code, std::string const& reason) {
        m_console.print_error("seedbed restore: " + printable(reason));
        return code;
    }

    exit_code run_steps() {
        for (auto const step :
             {&restore_run::load, &restore_run::look, &restore_run::plan, &restore_run::ask, &restore_run::open,
              &restore_run::wipe, &restore_run::write, &restore_run::verify, &restore_run::finish_disk}) {
            if (auto const code = (this->*step)(); code != exit_ok) {
                return code;
            }
        }
        if (m_image->description.kind == image_kind::disk) {
            reread_table();
        }
        return exit_ok;
    }

    exit_code load() {
        auto image = load_packed_image(m_options.torrent);
        if (!image) {
            return refuse(exit_bad_torrent, image.error().message);
        }
        m_image = std::move(*image);
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
        auto const overview = look_over_device(path);
        if (!overview) {
            return refuse(exit_refused, overview.error().message);
        }
        auto const cls = m_options.profile.value_or(detect_storage_class(path).cls);
        m_profile = default_profile(cls);
        m_console.print("This will be overwritten:\n\n" + overview_text(*overview, cls) + "\nwith the image\n\n" +
                        packed_text(*m_image));
        if (auto const checked = check_block_device(path, requirements()); !checked) {
            return refuse(exit_refused, checked.error().message);
        }
        return exit_ok;
    }

    /// Plans where the partitions of a disk go, and checks everything that could fail after the first write.
    exit_code plan() {
        auto const& layout = m_image->description.layout;
        if (!layout) {
            return m_options.grow ? refuse(exit_refused, "--grow needs the image of a disk with its layout") : exit_ok;
        }
        auto const geometry = query_device_geometry(m_options.device);
        if (!geometry) {
            return refuse(exit_refused, geometry.error().message);
        }
        auto const sector = geometry->is_block_device ? geometry->logical_block_size : layout->sector_size;
        auto planned = plan_deployment(*layout, geometry->size, sector, m_options.grow.value_or(growth{}));
        if (!planned) {
            return refuse(exit_refused, m_options.device + ": " + planned.error().message);
        }
        auto placement = chunk_placement::make(*m_image, planned->ranges);
        if (!placement) {
            return refuse(exit_bad_torrent, m_options.torrent + ": " + placement.error().message);
        }
        auto table = make_table(planned->target);
        if (!table) {
            return refuse(exit_refused, table.error().message);
        }
        if (auto const missing = missing_programs(*planned); !missing.empty()) {
            auto const& first = missing.front();
            return refuse(exit_refused,
                          first.name + " (package " + first.package + ") is not installed: needed to " + first.purpose);
        }
        for (auto const& note : planned->notes) {
            m_console.print(printable(note));
        }
        m_placement = std::move(*placement);
        m_table = std::move(*table);
        m_plan = std::move(*planned);
        return exit_ok;
    }

    exit_code ask() {
        if (m_options.yes) {
            return exit_ok;
        }
        auto const answer = confirm("Overwrite " + printable(m_options.device) + "? Type \"yes\" to continue: ");
        if (!answer) {
            return refuse(exit_not_confirmed, answer.error().message);
        }
        return *answer ? check_unchanged() : refuse(exit_not_confirmed, "not confirmed: nothing was written");
    }

    /// The answer refers to the device that was shown: see deploy.
    exit_code check_unchanged() {
        auto const now = identify_device(m_options.device);
        auto const identified =
            m_shown && (!m_shown->block_device || !m_shown->serials.empty() || m_shown->disk_sequence != 0);
        if (!now || !identified) {
            return exit_ok;
        }
        auto const why = why_other_device(*m_shown, *now);
        return why ? refuse(exit_refused, m_options.device + ": was replaced after it was shown: " + *why) : exit_ok;
    }

    exit_code open() {
        auto wanted = requirements();
        auto const geometry = query_device_geometry(m_options.device);
        wanted.direct_io = geometry && geometry->is_block_device;
        auto device = open_block_device(m_options.device, wanted);
        if (!device) {
            return refuse(exit_refused, device.error().message);
        }
        m_device = std::move(*device);
        return exit_ok;
    }

    /// Erases what would make the device look like something else, or complete, while it is being written.
    exit_code wipe() {
        auto const raw = m_device->raw();
        auto const all = find_signatures(raw ? "/proc/self/fd/" + std::to_string(raw->cached) : m_device->path());
        if (!all) {
            auto const why = "cannot look for signatures of earlier content: " + all.error().message;
            if (m_plan) { // an old table would make half an image look like a whole disk
                return refuse(exit_device_failed, why + "; nothing was written");
            }
            m_console.print_error("seedbed restore: warning: " + printable(why) + "; ignoring");
            return exit_ok;
        }
        auto const extents = m_image->index.extents();
        for (auto const& signature : *all) {
            // A disk's table is outside of its image, and is replaced.
            auto const replaced = m_plan || (extents && overlaps(*extents, signature.offset, signature.length));
            if (signature.length == 0 || (!replaced && !m_options.wipe_signatures)) {
                continue;
            }
            m_console.print("erasing the signature of earlier content: " + printable(describe(signature)));
            auto const wiped = wipe_signature(*m_device, signature, nullptr);
            if (!wiped && replaced) {
                return refuse(exit_device_failed, wiped.error().message());
            }
            if (!wiped) { // the image does not depend on it
                m_console.print_error("seedbed restore: cannot erase it, ignoring: " +
                                      printable(wiped.error().message()));
            }
        }
        return exit_ok;
    }

    [[nodiscard]] restore_options options_for(char const* phase, int threads) {
        restore_options how;
        how.placement = m_placement;
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
        auto const written = write_packed(*m_image, *m_file, *m_device, options_for("writing", threads()));
        if (!written) {
            auto const code =
                written.error().what == restore_failure::cause::image ? exit_damaged_source : exit_device_failed;
            return refuse(code, written.error().message + "; " + m_options.device + " is incomplete");
        }
        return *written ? exit_ok : interrupted();
    }

    exit_code verify() {
        m_written = seconds_since(m_began);
        if (!m_options.verify) {
            return exit_ok;
        }
        auto const found = compare_packed(*m_image, *m_device, options_for("verifying", threads()));
        if (found.read_failed) {
            return refuse(exit_not_verified, "cannot read back: " + found.read_failed->message());
        }
        if (found.cancelled) {
            return refuse(exit_interrupted, "interrupted; " + m_options.device + " is written, but not verified");
        }
        if (!found.ok()) {
            return refuse(exit_not_verified,
                          fmt::format("{}: {} of {} chunks differ after writing, the first at byte {}",
                                      m_options.device, found.differing.size(), m_image->index.chunks().size(),
                                      m_placement.of(m_image->index.chunks()[found.differing.front()]).value()));
        }
        m_verified = seconds_since(m_began) - m_written;
        return exit_ok;
    }

    /// Makes a disk out of its partitions: the table is the last thing that is written.
    exit_code finish_disk() {
        if (!m_plan) {
            return exit_ok;
        }
        if (m_termination.requested()) {
            return interrupted();
        }
        if (auto const corrected = correct_boot_sectors(*m_device, *m_plan); !corrected) {
            return refuse(exit_device_failed, corrected.error().message());
        }
        auto const step = [this](std::string const& what) { m_console.print(printable(what)); };
        if (auto const finished = finish_partitions(m_options.device, *m_plan, step); !finished) {
            return refuse(exit_failed, finished.error().message + "; " + m_options.device +
                                           " has no partition table: remove the cause, and restore it again");
        }
        if (auto const written = write_table(*m_device, *m_table); !written) {
            return refuse(exit_device_failed, written.error().message);
        }
        return exit_ok;
    }

    exit_code interrupted() { return refuse(exit_interrupted, "interrupted; " + m_options.device + " is incomplete"); }

    void reread_table() {
        auto const raw = m_device->raw();
        auto const why = raw ? reread_partition_table(raw->cached) : std::nullopt;
        if (why) {
            m_console.print_error("seedbed restore: warning: the kernel did not reread the partition table: " +
                                  printable(*why));
        }
    }

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
    std::optional<packed_image> m_image;
    std::optional<opened_packed_file> m_file;
    std::optional<device_identity> m_shown; ///< empty if the device cannot be identified
    io_profile m_profile;
    std::optional<deployment_plan> m_plan; ///< of a disk with a layout; so are the next two
    std::optional<table_bytes> m_table;
    chunk_placement m_placement;
    std::unique_ptr<block_device> m_device;
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
    try {
        return restore_run(std::move(*options)).run();
    } catch (std::exception const& e) {
        return fail("restore", exit_failed, std::string("internal failure: ") + e.what());
    }
}

} // namespace seedbed
